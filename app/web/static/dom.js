// Nodes from plain values: texts are always text, whatever a shop writes in its titles.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") {
      for (const [type, listener] of Object.entries(value)) node.addEventListener(type, listener);
    } else if (name === "css") {
      // By the object model: the policy of these pages refuses style attributes.
      for (const [key, text] of Object.entries(value)) node.style.setProperty(key, text);
    } else if (name in node && typeof node[name] !== "object" && node.namespaceURI !== SVG) {
      node[name] = value;
    } else {
      node.setAttribute(name, value === true ? "" : value);
    }
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function h(tag, props, ...children) {
  const [name, ...classes] = tag.split(".");
  const node = document.createElement(name || "div");
  if (classes.length) node.className = classes.join(" ");
  return fill(node, props, children);
}

export function svg(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

export function replace(node, ...children) {
  node.replaceChildren(...children.flat(Infinity).filter(Boolean));
}

export const moment = (time) => new Date(time).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
export const day = (time) => new Date(time).toLocaleDateString("en-GB", { dateStyle: "medium" });

// One line that screen readers speak and sighted visitors see for some seconds.
export function announce(text) {
  const node = document.getElementById("status");
  // All that is outside of an open dialog is covered, and silent.
  (document.querySelector("dialog[open]") ?? document.body).append(node);
  node.textContent = text;
  node.classList.add("shown");
  clearTimeout(announce.timer);
  announce.timer = setTimeout(() => node.classList.remove("shown"), 4000);
}
