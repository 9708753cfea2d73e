// The theme puts the button that copies a block of code into a landmark. Here each of them has a name of its own.
new MutationObserver(() => {
  document.querySelectorAll("nav.md-code__nav").forEach((landmark, number) => {
    landmark.ariaLabel ??= `Block of code ${number + 1}`;
  });
}).observe(document.documentElement, { childList: true, subtree: true });
