import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { test } from 'node:test';

interface Diagnostic {
  readonly code: string;
  readonly filename: string;
}

/** What our rules that need no types say about made files. */
function lint(files: Record<string, string>): Diagnostic[] {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-lint-'));
  try {
    const config = JSON.parse(readFileSync('.oxlintrc.json', 'utf8')) as { options: { typeAware: boolean } };
    config.options.typeAware = false;
    for (const [path, text] of Object.entries({ ...files, '.oxlintrc.json': JSON.stringify(config) })) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    const { stdout } = spawnSync(resolve('node_modules/.bin/oxlint'), ['--format=json'], {
      cwd: folder,
      encoding: 'utf8',
    });
    return (JSON.parse(stdout) as { diagnostics: Diagnostic[] }).diagnostics;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const everything = [
  '@trialkeep/contract',
  '@trialkeep/crypto',
  '@trialkeep/ledger',
  '@trialkeep/backup',
  '@trialkeep/evidence',
  '@trialkeep/witness/main',
  '@trialkeep/sdk/client',
  '@trialkeep/sdk/seal',
  '@trialkeep/cli',
  '@trialkeep/server/main',
  'fastify',
  '@fastify/static',
  'kysely',
  'node:crypto',
  'node:fs',
  'node:fs/promises',
];

const node = ['node:crypto', 'node:fs', 'node:fs/promises'];
const fastify = ['fastify', '@fastify/static'];
const served = ['@trialkeep/backup', '@trialkeep/evidence'];
const base = ['@trialkeep/contract', '@trialkeep/crypto', '@trialkeep/ledger'];

/** Of `everything`, what each place may import. Not ruled here: packages that are declared nowhere (tools/tidy). */
const allowed: Record<string, readonly string[]> = {
  'packages/crypto/src/aead.ts': [...fastify, 'kysely', 'node:crypto'],
  'packages/crypto/src/aead.test.ts': [...fastify, 'kysely', ...node],
  'packages/ledger/src/proof/merkle.ts': [...fastify, 'kysely'],
  'packages/contract/src/keys.ts': [...fastify, 'kysely'],
  'packages/sdk/src/client/index.ts': ['@trialkeep/contract', '@trialkeep/ledger', ...fastify, 'kysely'],
  'packages/sdk/src/seal/seal.ts': [...base, '@trialkeep/evidence', ...fastify, 'kysely', ...node],
  'packages/backup/src/chunk.ts': ['@trialkeep/crypto', '@trialkeep/ledger', ...fastify, 'kysely', ...node],
  'packages/witness/src/add-checkpoint.ts': [
    '@trialkeep/crypto',
    '@trialkeep/ledger',
    ...fastify,
    'kysely',
    ...node,
  ],
  'packages/evidence/src/document.ts': ['@trialkeep/ledger', ...fastify, 'kysely', ...node],
  'packages/cli/src/main.ts': [
    '@trialkeep/crypto',
    '@trialkeep/ledger',
    '@trialkeep/evidence',
    '@trialkeep/backup',
    '@trialkeep/sdk/client',
    '@trialkeep/sdk/seal',
    ...fastify,
    'kysely',
    ...node,
  ],
  'packages/server/src/keys/service.ts': [...base, ...served, ...node],
  'packages/server/src/keys/store.ts': [...base, ...served, 'kysely', ...node],
  'packages/server/src/platform/http.ts': [...base, ...served, ...fastify, 'kysely', ...node],
  'packages/server/src/compat/kms.ts': [...base, ...served, ...fastify, ...node],
};

test('each package imports only what the house rules let it', () => {
  const name = (path: string, specifier: string): string =>
    path.replace(/[^/]+$/, (file) => `${specifier.replace(/\W+/g, '-')}/${file}`);
  const files = Object.keys(allowed).flatMap((path) =>
    everything.map((specifier) => ({ path: name(path, specifier), specifier, allowed: allowed[path] ?? [] })),
  );
  const found = lint(
    Object.fromEntries(files.map(({ path, specifier }) => [path, `import '${specifier}';\n`])),
  );
  const refused = new Set(
    found.filter(({ code }) => code.includes('no-restricted-imports')).map(({ filename }) => filename),
  );
  for (const { path, specifier, allowed: here } of files) {
    assert.equal(refused.has(path), !here.includes(specifier), `${specifier} in ${path}`);
  }
});

test('types, exports and dynamic imports count as imports', () => {
  const file = (text: string): string[] => lint({ 'packages/crypto/src/a.ts': text }).map(({ code }) => code);
  for (const text of [
    "export type { A } from '@trialkeep/ledger';",
    "import type { A } from '@trialkeep/ledger'; export type B = A;",
    "export const a = await import('@trialkeep/ledger');",
  ]) {
    assert.ok(
      file(text).some((code) => code.includes('no-restricted-imports')),
      text,
    );
  }
});

test('only the command line prints', () => {
  const text = "console.log('a');\n";
  const found = lint({
    'packages/cli/src/a.ts': text,
    'packages/sdk/src/b.ts': text,
    'packages/sdk/src/b.test.ts': text,
    'tools/c.ts': text,
  });
  assert.deepEqual(
    found.map(({ code, filename }) => [code, filename]),
    [['eslint(no-console)', 'packages/sdk/src/b.ts']],
  );
});
