/**
 * Builds packages/evidence/page/verify.html, the one file with which anybody verifies evidence documents in a browser, offline. With
 * --check it says whether the committed file is the one that the sources give.
 */
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
import { fileURLToPath } from 'node:url';
import { rollup } from '@rollup/wasm-node';
import type { Plugin } from '@rollup/wasm-node';

const folder = new URL('../packages/evidence/page/', import.meta.url);
const target = new URL('verify.html', folder);

/** Finds modules as Node does, and takes the types out of those that have some. */
const asNode: Plugin = {
  name: 'as-node',
  resolveId(source, importer) {
    const from = importer === undefined ? folder : new URL(importer);
    return source.startsWith('.') || source.startsWith('file:')
      ? new URL(source, from).href
      : import.meta.resolve(source, from.href);
  },
  async load(id) {
    const text = await readFile(fileURLToPath(id), 'utf8');
    return id.endsWith('.ts') ? stripTypeScriptTypes(text) : text;
  },
};

/** The page, the same bytes for the same sources. */
export async function buildPage(): Promise<string> {
  const bundle = await rollup({ input: new URL('main.ts', folder).href, plugins: [asNode], treeshake: true });
  const { output } = await bundle.generate({ format: 'iife', indent: false });
  await bundle.close();
  if (output.length !== 1) throw new Error('The page is to be one file.');
  const script = withoutClosing(output[0].code);
  const style = await readFile(new URL('style.css', folder), 'utf8');
  const policy = [
    "default-src 'none'",
    `script-src ${hashOf(script)}`,
    `style-src ${hashOf(style)}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  const template = await readFile(new URL('template.html', folder), 'utf8');
  const parts: Readonly<Record<string, string>> = { policy, style, script };
  for (const name of ['style', 'script']) {
    // The policy has the hash of the part alone: white space around it would keep it from running.
    if (!template.includes(`<${name}>{{${name}}}</${name}>`))
      throw new Error(`The template has no ${name} of its own.`);
  }
  return template.replace(/\{\{(\w+)\}\}/g, (_, name: string) => parts[name] ?? '');
}

/** A text that ends a script element would end it inside of strings and comments too. */
function withoutClosing(script: string): string {
  if (/<\/script|<!--/i.test(script)) throw new Error('The script has text that would end its element.');
  return script;
}

function hashOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}

if (import.meta.main) {
  const page = await buildPage();
  if (!process.argv.includes('--check')) {
    await writeFile(target, page);
  } else if ((await readFile(target, 'utf8')) !== page) {
    process.stderr.write('packages/evidence/page/verify.html is stale: run node tools/verify-page.ts\n');
    process.exitCode = 1;
  }
}
