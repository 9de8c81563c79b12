import { sdkError } from '../errors.ts';

/**
 * The pages of a list, each asked for once the one before has been used, up to one that names no next one.
 *
 * @param read asks for the page where the cursor leads; the first has none
 * @throws TrialkeepError `client.bad_answer` where the pages go round; what `read` throws
 */
export async function* pagesOf<Page extends { readonly next: string | null }>(
  read: (at: { readonly cursor?: string }) => Promise<Page>,
): AsyncGenerator<Page, void, undefined> {
  const cursors = new Set<string>();
  for (let at: { readonly cursor?: string } = {}; ;) {
    const page = await read(at);
    yield page;
    // A server of another version may leave out what is null.
    const cursor = page.next ?? undefined;
    if (cursor === undefined) return;
    if (cursors.has(cursor)) throw sdkError('client.bad_answer', { detail: 'its pages go round' });
    cursors.add(cursor);
    at = { cursor };
  }
}
