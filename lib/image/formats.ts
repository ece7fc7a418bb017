/** What the first bytes of a file say it is. Nothing but the formats of this table that are decoded reaches libvips. */

/** A format of images. */
export interface ImageFormat {
  name: string;
  /** What a file begins with; each character stands for a byte. */
  magic: RegExp;
  /** Whether sharp decodes it: always, where its libvips was built with it, only with `{ svg: true }`, or never. */
  decoded: 'always' | 'where built in' | 'if asked for' | 'never';
}

/** The names of what is always decoded, for errors and options. */
export const DECODED_FORMATS = 'JPEG, PNG, WebP, GIF, TIFF and AVIF';

const FORMATS: readonly ImageFormat[] = [
  { name: 'JPEG', magic: /^\xff\xd8\xff/, decoded: 'always' },
  { name: 'PNG', magic: /^\x89PNG\r\n\x1a\n/, decoded: 'always' },
  { name: 'WebP', magic: /^RIFF[^]{4}WEBP/, decoded: 'always' },
  { name: 'GIF', magic: /^GIF8[79]a/, decoded: 'always' },
  { name: 'TIFF', magic: /^(?:II[*+]\0|MM\0[*+])/, decoded: 'always' },
  { name: 'AVIF', magic: /^[^]{4}ftyp(?:[^]{4}){0,14}?avi[fs]/, decoded: 'always' },
  { name: 'HEIC', magic: /^[^]{4}ftyp(?:hei[cxms]|hev[cxms]|mif1|msf1)/, decoded: 'where built in' },
  { name: 'JPEG 2000', magic: /^(?:\0\0\0\x0cjP {2}|\xff\x4f\xff\x51)/, decoded: 'where built in' },
  { name: 'JPEG XL', magic: /^(?:\xff\x0a|\0\0\0\x0cJXL )/, decoded: 'where built in' },
  { name: 'BMP', magic: /^BM/, decoded: 'never' },
  { name: 'ICO', magic: /^\0\0[\x01\x02]\0/, decoded: 'never' },
  { name: 'PSD', magic: /^8BPS/, decoded: 'never' },
  { name: 'OpenEXR', magic: /^v\/1\x01/, decoded: 'never' },
  { name: 'PNM', magic: /^P[1-7Ff][\s#]/, decoded: 'never' },
  { name: 'PDF', magic: /^%PDF-/, decoded: 'never' },
  { name: 'PostScript', magic: /^%!PS/, decoded: 'never' },
  // As libvips: text with an <svg> in its first thousand bytes; it also unpacks compressed ones.
  { name: 'SVG', magic: /^[^\0]*?<svg/i, decoded: 'if asked for' },
  { name: 'gzip', magic: /^\x1f\x8b/, decoded: 'never' },
];

/** The format of a file by its first bytes, or null where they are none of a known image. */
export function formatOf(bytes: Uint8Array): ImageFormat | null {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, 1000)).toString(
    'latin1',
  );
  return FORMATS.find(({ magic }) => magic.test(head)) ?? null;
}
