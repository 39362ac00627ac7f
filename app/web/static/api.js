// Calls of the API. Where the service has keys, the visitor types theirs once a tab.

const STORED = "vitrine-key";

export class Problem extends Error {
  constructor(status, problem) {
    super(problem?.detail ?? `the service answered ${status}`);
    this.status = status;
    this.code = problem?.code ?? "";
  }
}

export const key = {
  get: () => sessionStorage.getItem(STORED) ?? "",
  set: (text) => (text ? sessionStorage.setItem(STORED, text) : sessionStorage.removeItem(STORED)),
};

export async function call(path, { method = "GET", body, type = "application/json", text = false } = {}) {
  const headers = {};
  if (key.get()) headers["X-API-Key"] = key.get();
  if (body !== undefined) headers["Content-Type"] = type;
  const content = body === undefined || body instanceof Blob ? body : JSON.stringify(body);
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: content });
  } catch {
    throw new Problem(0, { detail: "the service cannot be reached", code: "unreachable" });
  }
  if (!answer.ok) throw new Problem(answer.status, await answer.json().catch(() => null));
  if (text) return answer.text();
  return answer.status === 204 ? null : answer.json();
}

export function query(path, fields) {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(fields)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== "") params.append(name, one);
    }
  }
  return `${path}?${params}`;
}

export const part = encodeURIComponent;
