import { StartupError } from '../../platform/errors.ts';
import { hardenProcess } from '../../platform/process/harden.ts';
import type { Answers, Question, Reply, Request } from './protocol.ts';
import { QuestionError } from './error-codes.ts';
import { Token } from './token.ts';
import { TokenObjects } from './token-objects.ts';

/**
 * The process that loads a vendor's PKCS#11 library: it may hang or crash there, and nothing else does. It ends with the
 * server; signals to the group of both are for the server. The PIN and what the root opens are in its memory.
 */
hardenProcess();
process.on('disconnect', () => process.exit(0));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

let token: Token | undefined;
let objects: TokenObjects | undefined;

async function answer(
  token: Token,
  objects: TokenObjects,
  question: Question,
): Promise<Answers[keyof Answers]> {
  switch (question.ask) {
    case 'describe':
      return token.describe();
    case 'generate':
      return token.generate(question.label, question.mechanism);
    case 'check':
      return token.check(question.mechanism);
    case 'wrap':
      return token.wrap(question.mechanism, question.input, question.aad);
    case 'unwrap':
      return token.unwrap(question.mechanism, question.input, question.aad);
    case 'make':
      return objects.make(question.object, question.algorithm, question.purpose);
    case 'sign':
      return objects.sign(question.object, question.way, question.input);
    case 'decrypt':
      return objects.decrypt(question.object, question.input);
    case 'remove':
      return objects.remove(question.object);
    case 'find-missing':
      return objects.findMissing(question.objects);
  }
}

async function reply({ id, address, question }: Request): Promise<Reply> {
  try {
    token ??= new Token(address);
    objects ??= new TokenObjects(token);
    return { id, answer: await answer(token, objects, question) };
  } catch (error) {
    const known = error instanceof StartupError ? error : new StartupError('root.failed', String(error));
    return {
      id,
      error: {
        code: known.code,
        detail: known.detail ?? '',
        isPinRefused: token?.isPinRefused ?? false,
        isAlone: known instanceof QuestionError,
      },
    };
  }
}

function send(message: Reply): void {
  process.send?.(message);
}

process.on('message', (request: Request) => {
  void reply(request).then(send);
});
send({ ready: true });
