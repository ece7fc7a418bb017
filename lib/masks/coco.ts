/** COCO's annotation files. */
import { mask_area, mask_to_box, mask_to_rle, rleOf } from './masks';
import type { CocoRLE, MaskLike, RLE } from './types';
import { mask_to_polygons, type Polygon } from './polygons';
import { RLEMask, coco_encode_rle } from './rle';
import { wrongType, wrongValue } from '../core/errors';
import { checkSize } from '../core/device';
import { checkInteger, checkNumber, checkOneOf, checkOptions, checkString } from '../core/options';
import type { ImageSize } from '../core/types';
import { guardMethods } from '../core/receivers';

/** One image of a data set. */
export interface CocoImage {
  /** What annotations call it by; from 1. */
  id: number;
  /** As whoever made the file named it. */
  file_name: string;
  /** In pixels. */
  width: number;
  /** In pixels. */
  height: number;
}

/** One object in an image. */
export interface CocoAnnotation {
  /** Of this annotation; from 1. */
  id: number;
  /** The image's id. */
  image_id: number;
  /** The category's id. */
  category_id: number;
  /** A compressed encoding, or polygons. */
  segmentation: CocoRLE | Polygon[];
  /** Pixels inside. */
  area: number;
  /** [x, y, width, height] in pixels, as COCO has boxes. */
  bbox: [x: number, y: number, width: number, height: number];
  /** 1 where the segmentation stands for a crowd; encodings of single objects are 0 too. */
  iscrowd: 0 | 1;
  /** Predicted IoU, as result files have it. */
  score?: number;
}

/** What the objects of a data set are. */
export interface CocoCategory {
  /** What annotations call it by. */
  id: number;
  /** For people. */
  name: string;
  /** The kind of category, where there is one. */
  supercategory?: string;
}

/** A COCO annotation file, parsed. */
export interface CocoDataset {
  /** The images. */
  images: CocoImage[];
  /** The objects in all of them. */
  annotations: CocoAnnotation[];
  /** What objects there are. */
  categories: CocoCategory[];
}

/** How an annotation says which pixels are inside. */
export type CocoSegmentation = 'coco_rle' | 'polygons';

/** What a caller calls categories: names, whose ids are counted from 1, or categories with ids of their own. */
export type CocoCategories = readonly (string | CocoCategory)[];

/** The one category of masks without a name, as SA-1B's. */
const OBJECT_CATEGORY: CocoCategory = { id: 1, name: 'object' };

/** What an annotation says besides its mask. */
export interface CocoAnnotationOptions {
  /** Predicted IoU. */
  score?: number;
  /** How it says which pixels are inside. Default 'coco_rle'. */
  segmentation?: CocoSegmentation;
  /** Name or id of one of the data set's categories. Default: the first. */
  category?: string | number;
}

function readCategory(given: unknown, taken: readonly CocoCategory[]): CocoCategory {
  const nextId = taken.reduce((most, { id }) => Math.max(most, id), 0) + 1;
  const { id, name, supercategory } =
    typeof given === 'string'
      ? { id: nextId, name: given, supercategory: undefined }
      : checkOptions(given, ['id', 'name', 'supercategory'], 'a category');
  const category: CocoCategory = {
    id: checkInteger(id ?? nextId, 'category.id', { min: 0 }),
    name: checkString(name, 'category.name'),
  };
  if (supercategory !== undefined)
    category.supercategory = checkString(supercategory, 'category.supercategory');
  const twice = taken.find((other) => other.id === category.id || other.name === category.name);
  if (twice) throw wrongValue('an id and a name of its own', `category ${category.name}`, twice.name);
  return category;
}

/** A data set that is put together image by image; `JSON.stringify` of it is the file. */
export class CocoDatasetBuilder implements CocoDataset {
  /** Images in the order in which they were added. */
  readonly images: CocoImage[] = [];
  /** Objects of all images. */
  readonly annotations: CocoAnnotation[] = [];
  /** What objects there are. */
  readonly categories: CocoCategory[] = [];

  /**
   * An empty data set.
   *
   * @param categories names, or `{ id, name, supercategory }`; default one category 'object', for objects of any kind.
   * @throws TypeError for other kinds; RangeError for no category, and for two with one id or one name.
   */
  constructor(categories: CocoCategories = [OBJECT_CATEGORY]) {
    if (!Array.isArray(categories)) throw wrongType('a list of categories', 'categories', categories);
    if (categories.length === 0) throw wrongValue('at least one category', 'categories', categories);
    for (const category of categories as CocoCategories) this.addCategory(category);
  }

  /**
   * Adds a category.
   *
   * @param category its name, or `{ id, name, supercategory }`.
   * @returns its id; of a name alone the next after the highest.
   * @throws TypeError for another kind; RangeError for an id or a name that is taken.
   */
  addCategory(category: string | CocoCategory): number {
    const added = readCategory(category, this.categories);
    this.categories.push(added);
    return added.id;
  }

  /**
   * Adds an image.
   *
   * @param file_name as the file shall name it.
   * @param size [height, width] in pixels.
   * @returns its id.
   * @throws TypeError for another kind; RangeError for sides that are no positive integers, and for a name that is taken.
   */
  addImage(file_name: string, size: ImageSize): number {
    checkString(file_name, 'file_name');
    const [height, width] = checkSize(size, 'size');
    if (this.images.some((image) => image.file_name === file_name))
      throw wrongValue('a name that no other image of the data set has', 'file_name', file_name);
    const id = this.images.length + 1;
    this.images.push({ id, file_name, width, height });
    return id;
  }

  /**
   * Adds an object to an image.
   *
   * @param image_id what addImage gave.
   * @param mask of the image's size: a mask (H, W) or an encoding.
   * @param options what to say of it.
   * @returns the annotation.
   * @throws TypeError and RangeError as mask_to_rle and rle_to_mask, and for other options; RangeError for an image or a
   *   category that has not been added, and for a mask of another size than the image.
   */
  addMask(
    image_id: number,
    mask: MaskLike | RLE | CocoRLE,
    options: CocoAnnotationOptions = {},
  ): CocoAnnotation {
    const given = checkOptions(options, ['score', 'segmentation', 'category'], 'addMask');
    const segmentation = checkSegmentation(given.segmentation);
    const score = given.score === undefined ? undefined : checkNumber(given.score, 'score');
    const category_id = this.categoryId(given.category);
    const image = typeof image_id === 'number' ? this.images[image_id - 1] : undefined;
    if (!image) throw wrongValue('the id of an image that was added', 'image_id', image_id);
    const rle = rleOf(mask, 'mask');
    const { size } = rle;
    if (size[0] !== image.height || size[1] !== image.width)
      throw wrongValue(`a mask of the image's size (${image.height} x ${image.width})`, 'mask', size);
    const area = mask_area(mask);
    const [x1, y1, x2, y2] = mask_to_box(mask);
    const annotation: CocoAnnotation = {
      id: this.annotations.length + 1,
      image_id,
      category_id,
      segmentation: segmentation === 'polygons' ? mask_to_polygons(mask) : compressed(mask),
      area,
      bbox: area === 0 ? [0, 0, 0, 0] : [x1, y1, x2 - x1 + 1, y2 - y1 + 1],
      iscrowd: 0,
    };
    if (score !== undefined) annotation.score = score;
    this.annotations.push(annotation);
    return annotation;
  }

  /** The id of a category by its name or id; of undefined the first. @throws TypeError and RangeError for no category. */
  categoryId(category: unknown): number {
    if (category === undefined) return this.categories[0].id;
    if (typeof category !== 'string' && typeof category !== 'number')
      throw wrongType('the name or id of a category', 'category', category);
    const found = this.categories.find(({ id, name }) => id === category || name === category);
    if (found) return found.id;
    const known = this.categories.map(({ id, name }) => `${id} ${name}`).slice(0, 20);
    throw wrongValue('the name or id of a category', 'category', category, `There are: ${known.join(', ')}.`);
  }
}

guardMethods(CocoDatasetBuilder);

/** How annotations say which pixels are inside. @throws TypeError and RangeError for anything else. */
export function checkSegmentation(value: unknown = 'coco_rle'): CocoSegmentation {
  return checkOneOf(value, ['coco_rle', 'polygons'], 'segmentation');
}

function compressed(mask: MaskLike | RLE | CocoRLE): CocoRLE {
  if (!('counts' in mask)) return coco_encode_rle(mask_to_rle(mask));
  if (mask instanceof RLEMask) return mask.coco_rle;
  return typeof mask.counts === 'string' ? (mask as CocoRLE) : coco_encode_rle(mask as RLE);
}
