// The text format of Prometheus, as far as these pages need it.

const LINE = /^(\w+)(?:\{(.*)\})? (\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

export function parse(text, wanted) {
  const found = [];
  for (const line of text.split("\n")) {
    if (!wanted.test(line)) continue;
    const [, name, labels, value] = LINE.exec(line) ?? [];
    if (name) found.push({ name, value: Number(value), labels: Object.fromEntries([...(labels ?? "").matchAll(LABEL)].map(([, key, label]) => [key, label])) });
  }
  return found;
}
