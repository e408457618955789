// One part of a message as a phone shows it: text, Markdown, picture, link card, file.
import { el, icon } from "./dom.js";

const URL_IN_TEXT = /(https?:\/\/[^\s\u4e00-\u9fff，。；！？、）】》]+)/g;

function linked(text) {
  return text.split(URL_IN_TEXT).map((piece, index) => (index % 2 ? outside(piece, piece) : piece));
}

function outside(href, text) {
  const safe = /^https?:\/\//.test(href);
  return el("a", { href: safe ? href : null, target: "_blank", rel: "noreferrer noopener", text });
}

export function part(one, texts) {
  if (one.kind === "text") return el("div", { class: "bubble" }, ...linked(one.text));
  if (one.kind === "markdown") return el("div", { class: "bubble md" }, ...markdown(one.text));
  if (one.kind === "image") return el("img", { class: "picture", src: one.src, alt: texts.image });
  if (one.kind === "card") return card(one);
  return el("div", { class: "card" }, el("b", { text: one.title || texts.file }));
}

function card(one) {
  const shell = outside(one.url, "");
  shell.className = "card";
  const blank = () => el("span", { class: "nopic" }, icon("link"));
  const picture = one.picture ? el("img", { src: one.picture, alt: "" }) : blank();
  picture.addEventListener("error", () => picture.replaceWith(blank()));
  shell.append(el("b", { text: one.title }), el("span", { class: "card-in" }, el("p", { text: one.text }), picture));
  return shell;
}

export function brief(one, texts) {
  if (one.kind === "text" || one.kind === "markdown") return one.text.replace(/\s+/g, " ").slice(0, 60);
  if (one.kind === "image") return texts.image;
  return `${one.kind === "card" ? texts.link : `[${texts.file}]`} ${one.title}`;
}

// The robot's Markdown: headings, bold, links, quotes, lists, inline code and three font colours.
function markdown(source) {
  return source.split("\n").map((line) => {
    const heading = /^#{1,6} (.*)/.exec(line);
    if (heading) return el("h4", {}, ...inline(heading[1]));
    const quote = /^> ?(.*)/.exec(line);
    if (quote) return el("blockquote", {}, ...inline(quote[1]));
    const item = /^(?:[-*]|\d+\.) (.*)/.exec(line);
    if (item) return el("li", {}, ...inline(item[1]));
    return el("p", {}, ...inline(line));
  });
}

const MARK = /\*\*(.+?)\*\*|`([^`]+)`|\[([^\]]+)\]\(([^)\s]+)\)|<font color="(info|comment|warning)">(.*?)<\/font>/g;

function inline(text) {
  const found = [];
  let from = 0;
  for (const match of text.matchAll(MARK)) {
    found.push(text.slice(from, match.index));
    const [whole, bold, code, label, href, colour, words] = match;
    if (bold) found.push(el("b", {}, ...inline(bold)));
    else if (code) found.push(el("code", { text: code }));
    else if (label) found.push(outside(href, label));
    else found.push(el("span", { class: colour }, ...inline(words)));
    from = match.index + whole.length;
  }
  return [...found, text.slice(from)];
}
