import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkDeadFiles, checkDeclared, checkRelativeImports, checkSlices, importsOf } from './imports.ts';
import type { Finding, Source } from './source.ts';
import { readSource } from './source.ts';

type Check = (sources: readonly Source[]) => Finding[];

/** The paths that a check objects to, in a repository of these files. */
async function objections(check: Check, files: Record<string, string>): Promise<string[]> {
  const sources = await Promise.all(Object.entries(files).map(([path, text]) => readSource(path, text)));
  return check(sources).map((finding) => finding.path);
}

test('every way to load a file is seen', async () => {
  const code = `
    import a from './a.ts';
    import type { B } from './b.ts';
    export * from './c.ts';
    export { d } from './d.ts';
    const e = await import('./e.ts');
    type F = import('./f.ts').F;
    new Worker(new URL('./g.ts', import.meta.url));
    new URL('h.fixture.ts', import.meta.url);
    new URL('https://example.org/a.ts');
    new URL('../vectors/data.json', import.meta.url);
  `;
  const seen = importsOf(await readSource('packages/sdk/src/x.ts', code)).map((each) => each.specifier);
  assert.deepEqual(seen, [
    './a.ts',
    './b.ts',
    './c.ts',
    './d.ts',
    './e.ts',
    './f.ts',
    './g.ts',
    './h.fixture.ts',
  ]);
});

test('relative imports name a file and stay in the package', async () => {
  const check = async (path: string, specifier: string): Promise<number> =>
    (await objections(checkRelativeImports, { [path]: `import '${specifier}';` })).length;
  assert.equal(await check('packages/sdk/src/a.ts', './b'), 1);
  assert.equal(await check('packages/sdk/src/a.ts', '../../crypto/src/index.ts'), 1);
  assert.equal(await check('tools/a.ts', '../packages/crypto/src/index.ts'), 1);
  const service = '../../../tools/postgres-cluster.ts';
  assert.equal(await check('packages/server/src/a.ts', service), 1);
  assert.equal(await check('packages/server/src/a.test.ts', service), 0);
  assert.equal(await check('packages/server/src/a.test.ts', '../../../tools/check.ts'), 1);
  assert.equal(await check('packages/sdk/src/a.ts', './b.ts'), 0);
  assert.equal(await check('packages/cli/bin/main.js', '../src/main.ts'), 0);
  assert.equal(await check('e2e/a.test.ts', '../tools/b.ts'), 0);
});

test('a slice of the server is entered through its index', async () => {
  const check = async (path: string, specifier: string): Promise<number> =>
    (await objections(checkSlices, { [path]: `import '${specifier}';` })).length;
  assert.equal(await check('packages/server/src/keys/service.ts', '../audit/store.ts'), 1);
  assert.equal(await check('packages/server/src/app.ts', './keys/service.ts'), 1);
  assert.equal(await check('packages/server/src/platform/http.ts', '../keys/service.ts'), 1);
  assert.equal(await check('packages/server/src/keys/service.ts', '../audit/index.ts'), 0);
  assert.equal(await check('packages/server/src/keys/service.ts', './store.ts'), 0);
  assert.equal(await check('packages/server/src/keys/deep/a.ts', '../store.ts'), 0);
  assert.equal(await check('packages/server/src/keys/service.ts', '../platform/clock.ts'), 0);
});

test('a package declares what it imports', async () => {
  const files = {
    'package.json': '{"devDependencies":{"fast-check":"1"}}',
    'packages/sdk/package.json': '{"dependencies":{"@trialkeep/crypto":"1"}}',
  };
  const check = async (path: string, specifier: string): Promise<number> =>
    (await objections(checkDeclared, { ...files, [path]: `import '${specifier}';` })).length;
  assert.equal(await check('packages/sdk/src/a.ts', 'fastify'), 1);
  assert.equal(await check('packages/sdk/src/a.ts', '@trialkeep/ledger'), 1);
  assert.equal(await check('packages/sdk/src/a.ts', 'fast-check'), 1);
  assert.equal(await check('packages/sdk/src/a.test.ts', 'fast-check'), 0);
  assert.equal(await check('packages/sdk/src/a.ts', '@trialkeep/crypto/deep'), 0);
  assert.equal(await check('packages/sdk/src/a.ts', 'node:fs'), 0);
  assert.equal(await check('packages/sdk/src/a.ts', './b.ts'), 0);
});

test('a file that only tests import is dead', async () => {
  const files = {
    'packages/sdk/package.json': '{"exports":{".":"./src/index.ts"}}',
    'packages/sdk/src/index.ts': "import './used.ts';",
    'packages/sdk/src/used.ts': "new Worker(new URL('./worker.ts', import.meta.url));",
    'packages/sdk/src/worker.ts': '',
    'packages/sdk/src/dead.ts': "import './circle.ts';",
    'packages/sdk/src/circle.ts': "import './dead.ts';",
    'packages/sdk/src/tested.ts': '',
    'packages/sdk/src/tested.test.ts': "import './tested.ts'; import './testing/server.ts';",
    'packages/sdk/src/testing/server.ts': '',
    'packages/sdk/src/testing/forgotten.ts': '',
    'packages/cli/package.json': '{}',
    'packages/cli/bin/main.js': "import '../src/main.ts';",
    'packages/cli/src/main.ts': '',
  };
  assert.deepEqual((await objections(checkDeadFiles, files)).toSorted(), [
    'packages/sdk/src/circle.ts',
    'packages/sdk/src/dead.ts',
    'packages/sdk/src/tested.ts',
    'packages/sdk/src/testing/forgotten.ts',
  ]);
});
