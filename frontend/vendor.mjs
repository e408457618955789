// Copies what the pages use out of node_modules into core/lanmu/web/static/vendor, with licences and hashes.
//
// A developer's step: `npm ci --ignore-scripts && npm run vendor`. The copies are committed, so running,
// testing and packaging need no Node. tests/web/test_vendored_files.py hashes them again.
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, isAbsolute, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const modules = join(here, "node_modules");
const target = join(here, "..", "core", "lanmu", "web", "static", "vendor");

const packages = [
  {
    name: "@tabler/core",
    folder: "tabler",
    files: { "dist/css/tabler.min.css": "tabler.min.css" },
    licence: join(here, "licenses", "tabler-core.txt"), // the package carries none
    spdx: "MIT",
    usedBy: "console",
  },
  {
    name: "htmx.org",
    folder: "htmx",
    files: { "dist/htmx.min.js": "htmx.min.js" },
    licence: "LICENSE",
    spdx: "0BSD",
    usedBy: "console, phone pages",
  },
  {
    name: "weui",
    folder: "weui",
    files: { "dist/style/weui.min.css": "weui.min.css" },
    licence: "LICENSE.txt",
    spdx: "MIT",
    usedBy: "phone pages",
  },
];

function versionOf(name) {
  return JSON.parse(readFileSync(join(modules, name, "package.json"), "utf8")).version;
}

function sha384(path) {
  return createHash("sha384").update(readFileSync(path)).digest("base64");
}

// A source map's address would be asked for by developer tools and answered with 404.
function withoutSourceMap(path) {
  const text = readFileSync(path, "utf8");
  writeFileSync(path, text.replace(/\n?\/\*# sourceMappingURL=.*?\*\/|\n?\/\/# sourceMappingURL=.*$/gm, ""));
}

function sprite(folder) {
  const names = readFileSync(join(here, "icons.txt"), "utf8").split(/\s+/).filter(Boolean).sort();
  const symbols = names.map((name) => {
    const svg = readFileSync(join(modules, "@tabler/icons/icons/outline", `${name}.svg`), "utf8");
    const inner = svg
      .slice(svg.indexOf(">") + 1, svg.lastIndexOf("</svg>"))
      .replace(/<path stroke="none"[^>]*\/>/, "")
      .replace(/\s*\n\s*/g, "");
    return `<symbol id="${name}" viewBox="0 0 24 24">${inner}</symbol>`;
  });
  writeFileSync(
    join(folder, "sprite.svg"),
    `<svg xmlns="http://www.w3.org/2000/svg" fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round">\n${symbols.join("\n")}\n</svg>\n`,
  );
}

rmSync(target, { recursive: true, force: true });
const manifest = [];

function finish(folder, entry) {
  const files = {};
  for (const name of readdirSync(folder).sort()) {
    files[relative(target, join(folder, name)).replaceAll("\\", "/")] = `sha384-${sha384(join(folder, name))}`;
  }
  manifest.push({ ...entry, files });
}

for (const item of packages) {
  const version = versionOf(item.name);
  const folder = join(target, `${item.folder}-${version}`);
  mkdirSync(folder, { recursive: true });
  for (const [from, to] of Object.entries(item.files)) {
    copyFileSync(join(modules, item.name, from), join(folder, to));
    withoutSourceMap(join(folder, to));
  }
  const licence = isAbsolute(item.licence) ? item.licence : join(modules, item.name, item.licence);
  copyFileSync(licence, join(folder, "LICENSE"));
  finish(folder, { name: item.name, version, licence: item.spdx, used_by: item.usedBy });
}

{
  const version = versionOf("@tabler/icons");
  const folder = join(target, `tabler-icons-${version}`);
  mkdirSync(folder, { recursive: true });
  sprite(folder);
  copyFileSync(join(modules, "@tabler/icons", "LICENSE"), join(folder, "LICENSE"));
  finish(folder, { name: "@tabler/icons", version, licence: "MIT", used_by: "console, phone pages" });
}

writeFileSync(join(target, "vendor.json"), `${JSON.stringify(manifest, null, 2)}\n`);
console.log(manifest.map((entry) => `${entry.name} ${entry.version}`).join("\n"));
