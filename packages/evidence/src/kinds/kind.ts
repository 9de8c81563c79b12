import type { Sha256, JsonObject } from '@trialkeep/ledger';
import type { Block } from '../blocks.ts';
import type { ListedEntry } from '../listed.ts';

/** What is needed to say something about the body of a kind. */
export type KindContext = {
  readonly sha256: Sha256;
  readonly names: Readonly<Record<string, string>>;
  /** The origin that the content names. */
  readonly origin: string;
};

/** One kind of evidence document. A kind is added here, and in docs/formats/evidence-document.md first. */
export type Kind<Body extends JsonObject = JsonObject> = {
  /** What such a document is called, where nobody gave it a title. */
  readonly title: string;
  /** The user requirements that it serves. */
  readonly requirements: readonly string[];
  /** Whether a body has the form of the kind; every bound is held here. */
  isBody(value: unknown): value is Body;
  /** The entries of the log that the body quotes. */
  listed(body: Body): readonly ListedEntry[];
  /** A signed checkpoint of the log that the body quotes, where it does. */
  checkpoint?(body: Body): string;
  /** What in the body contradicts itself, in sentences; empty where all of it fits. */
  contradictions(body: Body, context: KindContext): readonly string[];
  /** What a reader sees, in the order of reading. */
  render(body: Body, context: KindContext): readonly Block[];
  /** What such a document shows, and what it does not, in sentences. */
  proven(body: Body): readonly string[];
};
