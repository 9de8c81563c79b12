import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LruMap } from './lru.ts';

test('a bounded map forgets what was used longest ago, and nothing else', () => {
  const action = fc.record({
    what: fc.constantFrom('get', 'set', 'delete'),
    name: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
  });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), fc.array(action, { maxLength: 60 }), (capacity, actions) => {
      const map = new LruMap<string, number>(capacity);
      /** The model: the newest use last. */
      let uses: [string, number][] = [];
      for (const [i, { what, name }] of actions.entries()) {
        const known = uses.find(([each]) => each === name);
        if (what === 'get') assert.equal(map.get(name), known?.[1]);
        if (what === 'set') map.set(name, i);
        if (what === 'delete') map.delete(name);
        uses = uses.filter(([each]) => each !== name);
        if (what === 'set') uses.push([name, i]);
        else if (what === 'get' && known !== undefined) uses.push(known);
        uses = uses.slice(-capacity);
      }
      for (const [name, value] of uses) assert.equal(map.get(name), value);
      for (const name of ['a', 'b', 'c', 'd', 'e']) {
        if (!uses.some(([each]) => each === name)) assert.equal(map.get(name), undefined);
      }
    }),
  );
});
