import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import {
  checkProof,
  formatProof,
  leafHash,
  parseCheckpoint,
  parseNote,
  parseProof,
  trustOf,
  verifyConsistency,
} from '@trialkeep/ledger';
import { verifyEd25519, verifyMlDsa44 } from '@trialkeep/crypto';
import { makeTenant, refusal, shareServer } from '../fixture.test.ts';
import { createHttpServer } from '../platform/http.ts';
import { entriesOf, naiveRoot } from '../ledger.fixture.test.ts';
import { sha256 } from './sha256.ts';

const shared = shareServer();
const plaintext = Buffer.from('a value').toString('base64');
const primitives = { ed25519: verifyEd25519, mlDsa44: verifyMlDsa44 };

async function arrange(uses: number) {
  const server = await shared();
  const made = await makeTenant(server);
  const { service, key, custodian, tenant } = made;
  const encrypt = () => server.admit('keys.encrypt', service, { key, plaintext });
  await Promise.all(Array.from({ length: uses }, encrypt));
  const { database, ledger } = server.instance;
  const log = ledger.logOfTenant(tenant) ?? assert.fail();
  const bytes = () => entriesOf(database, log.id);
  const verifierKeys = (await server.admit('ledger.verifier-key', custodian, {})).trim().split('\n');
  const trust = trustOf(sha256, primitives, { verifierKeys });
  return { ...made, server, log, bytes, trust, encrypt };
}

test('every entry has a proof that strangers can check, by its id and by its index [URS-033]', async () => {
  const { server, custodian, bytes, trust, encrypt } = await arrange(270);
  const rows = await bytes();
  for (const index of [0, 1, 255, 256, rows.length - 1]) {
    const row = rows[index] ?? assert.fail();
    const { entry } = JSON.parse(Buffer.from(row).toString()) as { entry: string };
    const proof = await server.admit('ledger.proof', custodian, { entry });
    assert.equal(await server.admit('ledger.proof', custodian, { index }), proof);
    const checked = await checkProof(sha256, parseProof(Buffer.from(proof)), row, trust);
    assert.equal(checked.index, index);
    await assert.rejects(checkProof(sha256, parseProof(Buffer.from(proof)), Buffer.from('another'), trust), {
      code: 'ledger.proof_invalid',
    });
  }
  // What no checkpoint covers yet gets one.
  await encrypt();
  const newest = (await bytes()).length - 1;
  const proof = parseProof(Buffer.from(await server.admit('ledger.proof', custodian, { index: newest })));
  assert.equal(parseCheckpoint(parseNote(proof.checkpoint).text).size, newest + 1);
});

test('a proof carries what others have signed under the stored checkpoint [URS-033]', async () => {
  const { server, custodian, log } = await arrange(1);
  const own = await server.admit('ledger.checkpoint', custodian, {});
  const cosigned = `${own}— witness.example/w ${Buffer.alloc(76, 7).toString('base64')}\n`;
  const size = parseCheckpoint(parseNote(Buffer.from(own)).text).size;
  await server.instance.database.write((tx) =>
    tx
      .updateTable('ledger_checkpoint')
      .set({ note: cosigned })
      .where('log', '=', log.id)
      .where('size', '=', size)
      .execute(),
  );
  const proof = parseProof(Buffer.from(await server.admit('ledger.proof', custodian, { index: 0 })));
  assert.equal(Buffer.from(proof.checkpoint).toString(), cosigned);
  assert.equal(Buffer.from(formatProof(proof)).toString().endsWith(cosigned), true);
});

test('what is no entry of the log has no proof [URS-033] [URS-019]', async () => {
  const { server, custodian, service, bytes } = await arrange(1);
  const prove = (input: { entry?: string; index?: number }) => server.admit('ledger.proof', custodian, input);
  await assert.rejects(prove({}), refusal('request.invalid'));
  await assert.rejects(prove({ index: -1 }), refusal('request.invalid'));
  const entry = '00000000-0000-4000-8000-000000000000';
  await assert.rejects(prove({ entry, index: 0 }), refusal('request.invalid'));
  await assert.rejects(prove({ entry }), refusal('entry.unknown'));
  await assert.rejects(prove({ index: (await bytes()).length + 100 }), refusal('entry.unknown'));
  await assert.rejects(server.admit('ledger.proof', service, { index: 0 }), refusal('access.denied'));
});

test('consistency is proven between any two sizes of the log [URS-033]', async () => {
  const { server, custodian, bytes, log } = await arrange(300);
  await server.admit('ledger.checkpoint', custodian, {});
  const rows = await bytes();
  const size = log.size;
  for (const from of [1, 2, 255, 256, 257, size - 1, size]) {
    for (const to of [from, Math.min(size, from + 7), size]) {
      const { hashes, ...sizes } = await server.admit('ledger.consistency', custodian, { from, to });
      assert.deepEqual(sizes, { from, to });
      verifyConsistency(sha256, {
        from,
        to,
        fromRoot: naiveRoot(rows.slice(0, from)),
        toRoot: naiveRoot(rows.slice(0, to)),
        proof: hashes.map((hash) => Buffer.from(hash, 'base64')),
      });
    }
  }
  assert.equal((await server.admit('ledger.consistency', custodian, { from: 1 })).to, size);
  for (const [from, to] of [
    [5, 4],
    [1, size + 1000],
  ] as const) {
    const asked = server.admit('ledger.consistency', custodian, { from, to });
    await assert.rejects(asked, refusal('proof.out_of_range'));
  }
  await assert.rejects(
    server.admit('ledger.consistency', custodian, { from: 0 }),
    refusal('request.invalid'),
  );
  assert.deepEqual(await server.admit('ledger.bounds', custodian, {}), {
    minimumIndex: 0,
    size: (await bytes()).length,
  });
});

test('tiles and bundles of any width up to what is there are served, and nothing beyond [URS-033]', async () => {
  const { server, custodian, log, bytes } = await arrange(600);
  await server.admit('ledger.checkpoint', custodian, {});
  const rows = await bytes();
  const tile = (path: string) => server.admit('ledger.tile', custodian, { path });
  const hashes = Buffer.concat(rows.map((row) => leafHash(sha256, row)));
  const edge = log.size % 256;
  for (const [path, from, width] of [
    ['0/000', 0, 256],
    ['0/001', 256, 256],
    // The partial form of a tile that is full by now may be asked for still.
    ['0/000.p/1', 0, 1],
    ['0/001.p/255', 256, 255],
    [`0/002.p/${edge}`, 512, edge],
    ['0/002.p/1', 512, 1],
  ] as const) {
    assert.deepEqual(Buffer.from(await tile(path)), hashes.subarray(from * 32, (from + width) * 32), path);
    const bundle = Buffer.from(await tile(path.replace('0/', 'entries/')));
    const expected = rows.slice(from, from + width).flatMap((row) => [lengthOf(row), row]);
    assert.deepEqual(bundle, Buffer.concat(expected), path);
  }
  assert.deepEqual(Buffer.from(await tile('1/000.p/1')), naiveRoot(rows.slice(0, 256)));
  const beyond = ['0/002', 'entries/002', `0/002.p/${edge + 1}`, '0/003.p/1', '1/000', '1/000.p/3'];
  const malformed = ['0/000.p/256', '0/000.p/0', '0/000.p/01', '0/x000/000', '00/000', '64/000', '0/1'];
  for (const path of [...beyond, ...malformed])
    await assert.rejects(tile(path), refusal('tile.unknown'), path);
});

function lengthOf(row: Uint8Array): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(row.length);
  return length;
}

test('over HTTP a checkpoint is text, a tile is bytes that stay in private caches, and a missing one is 404 [URS-033]', async (t) => {
  const { server, custodian } = await arrange(1);
  const gate = {
    admit: ({ operation, input }: { operation: string; input: unknown }) =>
      server.admit(operation as 'ledger.tile', custodian, input as { path: string }),
  };
  const quiet = { level: 'silent' };
  const http = createHttpServer(gate, async () => '', pino(quiet));
  t.after(() => http.close());
  const get = async (url: string) => {
    const { statusCode, headers, rawPayload } = await http.inject({ url });
    return [statusCode, headers['content-type'], headers['cache-control'], rawPayload.length] as const;
  };
  assert.deepEqual((await get('/v1/ledger/checkpoint')).slice(0, 3), [
    200,
    'text/plain; charset=utf-8',
    'private, no-store',
  ]);
  const tile = [200, 'application/octet-stream', 'private, max-age=31536000, immutable'];
  assert.deepEqual(await get('/v1/ledger/tile/0/000.p/3'), [...tile, 96]);
  assert.deepEqual((await get('/v1/ledger/tile/entries/000.p/3')).slice(0, 3), tile);
  const [status, , cache] = await get('/v1/ledger/tile/0/000');
  assert.deepEqual([status, cache], [404, 'no-store']);
});
