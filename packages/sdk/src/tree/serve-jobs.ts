import { parentPort, workerData } from 'node:worker_threads';
import { Stopped } from './job.ts';
import type { JobTools } from './job.ts';
import { advanceIn, doJob, inputOf } from './protocol.ts';
import type { FromThread, KeyAnswers, ThreadData, ToThread } from './protocol.ts';

/** A thread that does jobs; while one waits for keys, the next. */

const port = parentPort;
if (port === null) throw new Error('Jobs run in a worker thread.');
const advance = advanceIn((workerData as ThreadData).shared);
const waiting = new Map<number, (keys: KeyAnswers) => void>();
const answer = (message: FromThread): void => port.postMessage(message);

function toolsOf(id: number): JobTools {
  return {
    advance,
    openingKeys: (messages) =>
      new Promise((resolve) => {
        waiting.set(id, resolve);
        // Of each no more than what is needed, and contexts with a prototype, which is what crosses threads.
        const wanted = messages.map(({ message, uses }) => {
          const { context, encryptedDataKeys } = message;
          return { uses, message: { context: { ...context }, encryptedDataKeys } };
        });
        answer({ id, wanted });
      }),
  };
}

async function serve(message: ToThread): Promise<void> {
  const { id } = message;
  if ('keys' in message) {
    waiting.get(id)?.(message.keys);
    waiting.delete(id);
    return;
  }
  try {
    const output = await doJob(message.kind, inputOf(message), toolsOf(id));
    answer({ id, output: JSON.stringify(output) });
  } catch (error) {
    answer(error instanceof Stopped ? { id, stopped: true } : { id, error: error as Error });
  }
}

port.on('message', (message: ToThread) => void serve(message));
