// Small helpers: elements, avatars, icons and times. Texts are set as text, never as HTML.

export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") node.className = value;
    else if (name === "text") node.textContent = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

const SVG = "http://www.w3.org/2000/svg";
const ICONS = {
  robot: ["M6 9h12v9H6z", "M12 9V5", "M9.5 13v1.5M14.5 13v1.5", "M3.5 12v3M20.5 12v3"],
  app: ["M5 5h6v6H5zM13 5h6v6h-6zM5 13h6v6H5zM13 13h6v6h-6z"],
  link: ["M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.7-5.7L12 7", "M14 10a4 4 0 0 0-6-.4l-3 3a4 4 0 0 0 5.7 5.7L12 17"],
  file: ["M7 3h7l4 4v14H7z", "M14 3v4h4"],
  chat: ["M4 5h16v11H11l-4 4v-4H4z"],
  voice: ["M12 2.5a9.5 9.5 0 1 0 0 19 9.5 9.5 0 0 0 0-19", "M10 9.5c1 1.5 1 3.5 0 5M13 8c1.7 2.5 1.7 5.5 0 8"],
  smile: ["M12 2.5a9.5 9.5 0 1 0 0 19 9.5 9.5 0 0 0 0-19", "M8 14c1.8 2.8 6.2 2.8 8 0", "M9 9v1M15 9v1"],
  plus: ["M12 2.5a9.5 9.5 0 1 0 0 19 9.5 9.5 0 0 0 0-19", "M12 7.5v9M7.5 12h9"],
};

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  for (const shape of ICONS[name]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", shape);
    path.setAttribute("fill", "none");
    path.setAttribute("stroke", "currentColor");
    path.setAttribute("stroke-width", "1.6");
    path.setAttribute("stroke-linecap", "round");
    path.setAttribute("stroke-linejoin", "round");
    svg.append(path);
  }
  return svg;
}

function color(name) {
  let sum = 0;
  for (const char of name) sum = (sum * 31 + char.codePointAt(0)) >>> 0;
  return sum % 8;
}

export function avatar(kind, name) {
  if (kind === "group" || kind === "room") {
    const tiles = Array.from({ length: 9 }, (_, index) => el("span", { class: `c${color(name + index)}` }));
    return el("span", { class: "avatar mosaic", "aria-hidden": "true" }, ...tiles);
  }
  if (kind === "robot" || kind === "app") {
    return el("span", { class: `avatar ${kind === "robot" ? "c0" : "c2"}`, "aria-hidden": "true" }, icon(kind));
  }
  const staff = kind === "employee";
  const letters = [...name].slice(0, staff ? 2 : 1).join("");
  return el("span", { class: `avatar c${color(name)}${staff ? " two" : ""}`, "aria-hidden": "true", text: letters });
}

const ZONE = "Asia/Shanghai";
const locale = document.documentElement.lang;
const clockFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: ZONE });
const dayFormat = new Intl.DateTimeFormat(locale, { month: "short", day: "numeric", timeZone: ZONE });
const keyFormat = new Intl.DateTimeFormat("en-CA", { timeZone: ZONE });

export const clock = (stamp) => clockFormat.format(stamp * 1000);

// As WeChat writes it: the hour today, "yesterday" and the hour, else the day.
export function when(stamp, now, texts, long) {
  const day = keyFormat.format(stamp * 1000);
  if (day === keyFormat.format(now * 1000)) return clock(stamp);
  const name = day === keyFormat.format((now - 86400) * 1000) ? texts.yesterday : dayFormat.format(stamp * 1000);
  return long ? `${name} ${clock(stamp)}` : name;
}
