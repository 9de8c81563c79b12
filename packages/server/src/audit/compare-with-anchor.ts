import type { AnchoredCheckpoint } from './anchor.ts';
import type { TransparencyLog } from './transparency-log.ts';

/**
 * Says where the database is behind or beside the anchor of this node (design section 4, roll-back), and takes note of what the
 * anchor has of each log. All trees have been integrated before.
 *
 * @param hasOtherNodes whether a log can have been made by another node, of which this node's anchor knows nothing yet
 */
export async function compareWithAnchor(
  logs: readonly TransparencyLog[],
  anchored: readonly AnchoredCheckpoint[],
  hasOtherNodes: boolean,
): Promise<string[]> {
  const reasons: string[] = [];
  const found = new Set<TransparencyLog>();
  for (const { file, note } of anchored) {
    const origin = Buffer.from(note).toString('utf8').split('\n', 1)[0];
    const log = logs.find((candidate) => candidate.origin === origin);
    if (log === undefined) {
      reasons.push(`The database knows nothing of log ${origin}, which the anchor has.`);
      continue;
    }
    found.add(log);
    try {
      const { size, contradiction } = await log.compare(note);
      if (contradiction === undefined) log.anchor.found(size);
      else reasons.push(contradiction);
    } catch (error) {
      reasons.push(`The anchor ${file} is not a checkpoint of log ${origin}: ${(error as Error).message}`);
    }
  }
  for (const log of logs) {
    const mayBeNew = hasOtherNodes && (await isNewSince(log, logs));
    if (!found.has(log) && (await log.hasCheckpoint()) && !mayBeNew) {
      reasons.push(
        `The anchor of log ${log.origin} is gone: nothing says whether the database is the newest. Restoring a backup with --accept-lost-anchor accepts that.`,
      );
    }
  }
  return reasons;
}

/**
 * Whether another node may have made a tenant's log after this node last anchored the instance's, so that its anchor was not taken
 * away but was never here: every log is anchored before whatever the instance's log has recorded since. A log's first entry has
 * the time of the instance's entry about it.
 */
async function isNewSince(log: TransparencyLog, logs: readonly TransparencyLog[]): Promise<boolean> {
  const instance = logs.find(({ tenant }) => tenant === null);
  if (log.tenant === null || instance === undefined || instance.anchor.size === 0) return false;
  // A node that was away for longer than entries are kept cannot tell.
  if (instance.anchor.size <= (await instance.minimumIndex())) return false;
  const [made, anchored] = [await log.timeOf(0), await instance.timeOf(instance.anchor.size - 1)];
  if (made !== anchored) return made > anchored;
  // In the same millisecond: the entry about the log has to be one that this node has not anchored.
  return instance.size > instance.anchor.size && (await instance.timeOf(instance.anchor.size)) === made;
}
