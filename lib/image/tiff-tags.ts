/** Single numbers out of the first directory of a TIFF, which is what EXIF is too. */

/** How the two kinds of TIFF lie: where the directory's place stands, and the bytes of its count and of an entry. */
const FORMS: Record<number, { place: number; count: number; entry: number }> = {
  42: { place: 4, count: 2, entry: 12 },
  43: { place: 8, count: 8, entry: 20 },
};

/** An entry of a directory: its type, and where its value stands. */
interface Entry {
  type: number;
  value: number;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const isLittle = (bytes: Uint8Array): boolean => bytes[0] === 0x49;

function findEntry(bytes: Uint8Array, tag: number): Entry | null {
  if (bytes.length < 16) return null;
  const view = viewOf(bytes);
  const little = isLittle(bytes);
  const form = FORMS[view.getUint16(2, little)];
  if (!form) return null;
  const isBig = form.entry === 20;
  const directory = isBig
    ? Number(view.getBigUint64(form.place, little))
    : view.getUint32(form.place, little);
  if (directory + form.count > bytes.length) return null;
  const count = isBig ? Number(view.getBigUint64(directory, little)) : view.getUint16(directory, little);
  for (let entry = 0; entry < count; entry++) {
    const at = directory + form.count + entry * form.entry;
    if (at + form.entry > bytes.length) return null;
    if (view.getUint16(at, little) === tag)
      return { type: view.getUint16(at + 2, little), value: at + (isBig ? 12 : 8) };
  }
  return null;
}

/**
 * The first number of a tag; null where there is none, or what is there is no TIFF.
 *
 * @param bytes of a file or of EXIF, from its byte order mark on.
 * @param tag its number.
 */
export function readTag(bytes: Uint8Array, tag: number): number | null {
  const entry = findEntry(bytes, tag);
  if (!entry) return null;
  const view = viewOf(bytes);
  if (entry.type === 1) return view.getUint8(entry.value);
  if (entry.type === 3) return view.getUint16(entry.value, isLittle(bytes));
  return entry.type === 4 ? view.getUint32(entry.value, isLittle(bytes)) : null;
}

/** A copy of a TIFF with another number of 16 bits in a tag that it has. */
export function withTag(bytes: Uint8Array, tag: number, number: number): Uint8Array {
  const copy = Buffer.from(bytes);
  const entry = findEntry(copy, tag);
  if (entry?.type === 3) viewOf(copy).setUint16(entry.value, number, isLittle(copy));
  return copy;
}
