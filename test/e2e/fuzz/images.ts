/** Image files that are damaged, cut, lie about their size or expand to very much; and paths that are no files. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { crc32, deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { RawImage } from '../../../lib';
import { Dice, expect, type Attack } from './attack';
import { environment } from './environment';

const W = 61;
const H = 47;

const SVG = (content: string): Buffer =>
  Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="${W}" height="${H}">${content}</svg>`,
  );

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, check]);
}

/** A PNG whose header promises a size, with pixels of another number. */
function png(width: number, height: number, pixels: number, depth = 8, color = 0): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = depth;
  header[9] = color;
  const signature = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.alloc(pixels))),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

async function wholeImages(): Promise<[string, Buffer][]> {
  const noise = Buffer.from(Array.from({ length: W * H * 4 }, (_, index) => (index * 2654435761) >>> 24));
  const rgba = (): sharp.Sharp => sharp(noise, { raw: { width: W, height: H, channels: 4 } });
  const rgb = (): sharp.Sharp => rgba().removeAlpha();
  return [
    ['PNG', await rgba().png().toBuffer()],
    ['PNG, palette', await rgb().png({ palette: true }).toBuffer()],
    ['PNG, grey', await rgb().grayscale().png().toBuffer()],
    ['JPEG', await rgb().jpeg().withMetadata({ orientation: 6 }).toBuffer()],
    ['JPEG, progressive', await rgb().jpeg({ progressive: true }).toBuffer()],
    ['JPEG, CMYK', await rgb().toColourspace('cmyk').jpeg().toBuffer()],
    ['WebP', await rgba().webp().toBuffer()],
    ['WebP, lossless', await rgba().webp({ lossless: true }).toBuffer()],
    ['GIF', await rgb().gif().toBuffer()],
    ['TIFF', await rgb().tiff({ compression: 'lzw' }).toBuffer()],
    ['TIFF, tiles', await rgb().tiff({ compression: 'deflate', tile: true, pyramid: true }).toBuffer()],
    ['AVIF', await rgb().avif({ effort: 0 }).toBuffer()],
    ['SVG', SVG('<rect width="9" height="9" fill="red"/><text x="3" y="20">a</text>')],
  ];
}

/** Files whose bytes promise more than they hold, or hold much more than they weigh. */
const BOMBS: [string, () => Buffer][] = [
  ['PNG of 2^31 pixels a side', () => png(2 ** 31 - 1, 2 ** 31 - 1, 100)],
  ['PNG of no width', () => png(0, 5, 5)],
  ['PNG of 2^31 by 1', () => png(2 ** 31 - 1, 1, 100)],
  ['PNG of 16383 pixels a side without pixels', () => png(16_383, 16_383, 100)],
  ['PNG of 100 megabytes of zeros', () => png(50, 50, 100_000_000)],
  ['PNG of 64 megapixels', () => png(8000, 8000, 8001 * 8000)],
  ['PNG of 64 megapixels of one bit', () => png(8000, 8000, 1001 * 8000, 1)],
  ['PNG of depth 16', () => png(1000, 1000, 2001 * 1000, 16)],
  [
    'SVG of turbulence',
    () =>
      SVG(
        `<filter id="f">${'<feTurbulence baseFrequency="0.9" numOctaves="9"/>'.repeat(30)}</filter><rect width="9999" height="9999" filter="url(#f)"/>`,
      ),
  ],
  [
    'SVG that uses itself',
    () =>
      SVG(
        `${Array.from({ length: 12 }, (_, index) => `<g id="a${index + 1}">${`<use xlink:href="#a${index}"/>`.repeat(10)}</g>`).join('')}<g id="a0"><rect width="1" height="1"/></g>`,
      ),
  ],
  ['SVG that includes a file', () => SVG('<image width="9" height="9" xlink:href="/etc/passwd"/>')],
  [
    'SVG of entities',
    () =>
      Buffer.from(
        `<!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa">${Array.from({ length: 12 }, (_, index) => `<!ENTITY b${index} "${`&${index === 0 ? 'a' : `b${index - 1}`};`.repeat(10)}">`).join('')}]>${SVG('<text>&b11;</text>').toString()}`,
      ),
  ],
  [
    'SVG of 2^31 pixels a side',
    () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="2147483647" height="2147483647"/>'),
  ],
  ['SVG nested deeply', () => SVG('<g>'.repeat(50_000))],
  ['bytes of nothing', () => Buffer.alloc(0)],
  ['zeros', () => Buffer.alloc(100_000)],
  ['text', () => Buffer.from('GET / HTTP/1.0\r\n\r\n'.repeat(100))],
  ['PDF', () => Buffer.from('%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<</Root 1 0 R>>')],
  [
    'BMP of 2^31 pixels a side',
    () =>
      Buffer.from(
        `424d46000000000000003600000028000000${'ffffff7f'.repeat(2)}0100180000000000${'00'.repeat(20)}`,
        'hex',
      ),
  ],
];

/** Sources that are no regular file of an image. */
const PLACES: [string, (folder: string) => string][] = [
  [
    'a pipe',
    (folder) => {
      execFileSync('mkfifo', [path.join(folder, 'pipe.png')]);
      return path.join(folder, 'pipe.png');
    },
  ],
  ['a device without an end', () => '/dev/zero'],
  [
    'a link to a device without an end',
    (folder) => {
      symlinkSync('/dev/zero', path.join(folder, 'zero.png'));
      return path.join(folder, 'zero.png');
    },
  ],
  [
    'a link to itself',
    (folder) => {
      symlinkSync('loop.png', path.join(folder, 'loop.png'));
      return path.join(folder, 'loop.png');
    },
  ],
  ['a folder', (folder) => folder],
  ['nothing', () => ''],
  ['a long path', () => `/${'x'.repeat(100_000)}.png`],
  ['a NUL character', () => '/etc/passwd\0.png'],
  ['a file of the system', () => '/proc/self/mem'],
  ['a URL without a host', () => 'http://'],
  ['a URL of another scheme', () => 'javascript:alert(1)'],
  ['a file URL with a host', () => 'file://example.com/x.png'],
  ['a file URL with %00', () => 'file:///pictures/%00.png'],
  ['a file URL with %', () => 'file:///pictures/%zz.png'],
  ['a data URL of no kind', () => 'data:,'],
  ['a data URL of bad base64', () => 'data:image/png;base64,@@@@'],
  ['a data URL without a comma', () => `data:image/png;base64${'A'.repeat(1000)}`],
  ['a port that is closed', () => 'http://127.0.0.1:1/x.png'],
];

/** How the bytes of an image are handed over. */
const FORMS: [string, (bytes: Buffer, folder: string) => unknown][] = [
  ['a Buffer', (bytes) => bytes],
  ['a Uint8Array', (bytes) => Uint8Array.from(bytes)],
  ['an ArrayBuffer', (bytes) => Uint8Array.from(bytes).buffer],
  ['a Blob', (bytes) => new Blob([Uint8Array.from(bytes)])],
  ['a data URL', (bytes) => `data:image/png;base64,${bytes.toString('base64')}`],
  ['a path', (bytes, folder) => file(bytes, folder)],
  ['a file URL', (bytes, folder) => pathToFileURL(file(bytes, folder))],
];

function file(bytes: Buffer, folder: string): string {
  mkdirSync(folder, { recursive: true });
  const name = path.join(folder, 'image.png');
  writeFileSync(name, bytes);
  return name;
}

function damaged(dice: Dice, whole: Buffer): [Buffer, string] {
  const bytes = Buffer.from(whole);
  const at = dice.below(bytes.length);
  // Most of what a decoder believes is at the beginning.
  const place = (): number =>
    dice.chance(0.5) ? dice.below(Math.min(64, bytes.length)) : dice.below(bytes.length);
  switch (dice.below(7)) {
    case 0:
      return [bytes.subarray(0, at), `cut at ${at}`];
    case 1:
      return [
        Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + dice.below(40))]),
        `bytes missing at ${at}`,
      ];
    case 2:
      return [Buffer.concat([bytes.subarray(0, at), bytes]), `repeated from ${at}`];
    case 3: {
      const start = place();
      const value = dice.pick([0, 0x7f, 0xff]);
      return [bytes.fill(value, start, start + dice.pick([2, 4, 8])), `${value} at ${start}`];
    }
    case 4:
      return [bytes.fill(0, at), `zeros from ${at}`];
    default: {
      const count = dice.pick([1, 1, 2, 4, 16]);
      for (let change = 0; change < count; change++) bytes[place()] = dice.below(256);
      return [bytes, `${count} bytes changed`];
    }
  }
}

let whole: Promise<[string, Buffer][]> | undefined;

const OPTIONS: object[] = [
  {},
  {},
  {},
  { autoOrient: false },
  { limitInputPixels: 1000 },
  { limitInputPixels: 2 ** 40 },
];

async function read(source: never, options: object, isProcessed: boolean): Promise<void> {
  if (isProcessed) {
    const { processor } = await environment();
    const { pixel_values } = await processor({ images: source });
    expect(pixel_values.data.length === 3 * 192 * 192, 'pixel_values of another size');
    return;
  }
  const { data, width, height, channels } = await RawImage.read(source, options);
  expect(data.length === width * height * channels, 'pixels of another number than the size says');
  expect(
    width * height <= ((options as { limitInputPixels?: number }).limitInputPixels ?? 0x3fff * 0x3fff),
    'more pixels than allowed',
  );
}

/** Reads an image that is none, or not quite. */
export async function images(seed: number): Promise<Attack> {
  const dice = new Dice(seed);
  const folder = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-fuzz-'));
  const dispose = (): void => rmSync(folder, { recursive: true, force: true });
  const options = dice.pick(OPTIONS);
  const kind = dice.below(20);
  if (kind === 0) {
    const [name, place] = dice.pick(PLACES);
    const isProcessed = dice.chance(0.2);
    const source = place(folder);
    return {
      description: name,
      bytes: source.length,
      dispose,
      run: () => read(source as never, options, isProcessed),
    };
  }
  let bytes: Buffer;
  let description: string;
  if (kind < 3) {
    const [name, make] = dice.pick(BOMBS);
    [bytes, description] = [make(), name];
  } else {
    const [name, image] = dice.pick(await (whole ??= wholeImages()));
    [bytes, description] = damaged(dice, image);
    description = `${name}, ${description}`;
  }
  const [form, give] = dice.pick(FORMS);
  const source = give(bytes, folder);
  const isProcessed = typeof source === 'string' && dice.chance(0.3);
  return {
    description: `${description}, as ${form}`,
    bytes: bytes.length,
    dispose,
    run: () => read(source as never, options, isProcessed),
  };
}
