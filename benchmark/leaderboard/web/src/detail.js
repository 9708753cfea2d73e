// An encoder's full results, fetched only when asked for: a classic script, because a file cannot fetch a file.

const waiting = new Map();
const asked = new Map();
const loaded = new Map();

/** Resolves with the list of results, rejects where the file is missing; however often it is asked for, one load. */
export function loadDetail(row) {
  if (loaded.has(row.key)) return Promise.resolve(loaded.get(row.key));
  if (!asked.has(row.key)) {
    asked.set(row.key, new Promise((resolve, reject) => {
      waiting.set(row.key, resolve);
      const script = document.createElement("script");
      script.src = `encoders/${encodeURIComponent(row.key)}.js`;
      script.onerror = () => {
        asked.delete(row.key);
        reject(new Error(`${script.src} is missing`));
      };
      document.head.append(script);
    }));
  }
  return asked.get(row.key);
}

/** Results that came with the page, as those of a report do. */
export function keep(details) {
  for (const [key, results] of Object.entries(details ?? {})) loaded.set(key, results);
}

/** What the loaded script calls. */
export function received(key, results) {
  loaded.set(key, results);
  waiting.get(key)?.(results);
}

export function isLoaded(row) {
  return loaded.get(row.key) ?? null;
}
