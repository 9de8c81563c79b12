/** What is answered over HTTP when a request is refused or only partly done. The status codes are those of the specification. */
export class Refusal extends Error {
  readonly status: number;
  readonly type: string;
  readonly body: Uint8Array;

  /** @param sentence for people, where the specification gives the body no form */
  constructor(status: number, sentence: string, form?: { readonly type: string; readonly body: Uint8Array }) {
    super(sentence);
    this.name = 'Refusal';
    this.status = status;
    this.type = form?.type ?? 'text/plain; charset=utf-8';
    this.body = form?.body ?? Buffer.from(`${sentence}\n`);
  }
}
