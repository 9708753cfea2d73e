// The only way this page makes elements: text goes in as text nodes, so no name can become markup.

/** An element with attributes, `on…` listeners and children (text, nodes, arrays, null). */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

/** Replace what is in an element. */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

export function byId(id) {
  return document.getElementById(id);
}

/** A link out of the page: https only, anything else is shown as text. */
export function outside(url, text = url) {
  if (!/^https:\/\//.test(url)) return document.createTextNode(text);
  return h("a", { href: url, rel: "noopener noreferrer" }, text);
}

/** Where the Hub shows a data set's rows, of a name such as "hub:owner/name@revision"; null for what is not there. */
export function viewer(name) {
  const repo = /^(?:\w+:)?hub:([A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*)(?:[@?].*)?$/.exec(name)?.[1];
  return repo ? `https://huggingface.co/datasets/${repo}/embed/viewer` : null;
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}
