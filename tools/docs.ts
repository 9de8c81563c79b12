/** `npm run docs` writes the generated pages of docs/; with --check it only says which are out of date. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { format, resolveConfig } from 'prettier';
import { errorsPage } from './docs/errors.ts';
import { keyAlgorithmsPage } from './docs/key-algorithms.ts';
import { keyStatesPage } from './docs/key-states.ts';
import { operationsPage } from './docs/operations.ts';

const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } });

for (const page of [errorsPage, operationsPage, keyStatesPage, keyAlgorithmsPage]) {
  const options = (await resolveConfig(page.path)) ?? {};
  const text = await format(await page.render(), { ...options, filepath: page.path });
  const current = existsSync(page.path) ? readFileSync(page.path, 'utf8') : '';
  if (text === current) continue;
  if (values.check) {
    console.error(`${page.path} is out of date: run npm run docs.`);
    process.exitCode = 1;
  } else {
    writeFileSync(page.path, text);
    console.log(`wrote ${page.path}`);
  }
}
