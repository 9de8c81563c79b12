import { createHash } from 'node:crypto';
import PDFDocument from 'pdfkit';
import { EvidenceError } from './errors.ts';
import { Artist } from './make/draw.ts';
import { layOut, page } from './make/layout.ts';
import { Typefaces } from './make/typefaces.ts';
import { overviewOf, renderer } from './overview.ts';
import { utc } from './blocks.ts';
import { kinds } from './document.ts';
import { attachments, type EvidenceFiles } from './pdf/files.ts';
import { maxFileBytes } from './pdf/file.ts';

/**
 * The evidence document with these files in it, PDF/A-3a: the same bytes for the same files, on every machine. Others get their turn
 * between pages, of which a long answer has hundreds.
 *
 * @throws EvidenceError `evidence.too_large`; for files without their form what {@link overviewOf} throws
 */
export async function makeEvidence(files: EvidenceFiles): Promise<Uint8Array> {
  const sha256 = (data: Uint8Array): Uint8Array => createHash('sha256').update(data).digest();
  const { document: content, hash, blocks } = overviewOf(sha256, files);
  const time = new Date(content.made.time);
  const document = new PDFDocument({
    pdfVersion: '1.7',
    subset: 'PDF/A-3a',
    tagged: true,
    lang: 'en',
    displayTitle: true,
    // A reader inflates nothing, and compressed bytes would differ between machines.
    compress: false,
    autoFirstPage: false,
    size: [page.width, page.height],
    margin: 0,
    // Names of ours alone: pdfkit writes them into XML as they are.
    info: {
      Title: `${kinds[content.kind].title} ${content.id}`,
      Creator: renderer,
      Producer: 'Trialkeep',
      CreationDate: time,
      ModDate: time,
    },
  });
  const written = collect(document);
  const typefaces = await Typefaces.of(document);
  const pages = layOut(blocks, content.title, typefaces);
  const artist = new Artist(document, typefaces);
  const foot = `${content.id} · made ${utc(content.made.time)}`;
  for (const [i, placed] of pages.entries()) {
    artist.drawPage(
      placed,
      { title: content.title, origin: content.origin, hash, foot },
      i + 1,
      pages.length,
    );
    await new Promise(setImmediate);
  }
  artist.end();
  attach(document, files, time);
  document.end();
  return written;
}

function attach(document: InstanceType<typeof PDFDocument>, files: EvidenceFiles, time: Date): void {
  for (const { name, mediaType, description, relationship } of attachments) {
    const bytes = files[name];
    if (bytes === undefined) continue;
    document.file(Buffer.from(bytes), {
      name,
      type: mediaType,
      description,
      relationship,
      creationDate: time,
      modifiedDate: time,
    } as object);
  }
}

async function collect(document: InstanceType<typeof PDFDocument>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of document as unknown as AsyncIterable<Uint8Array>) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > maxFileBytes) throw new EvidenceError('evidence.too_large', 'file');
  }
  return Buffer.concat(chunks);
}
