/** COCO's annotation files. */
import { mask_area, mask_to_box, mask_to_rle } from './masks';
import type { CocoRLE, MaskLike, RLE } from './types';
import { mask_to_polygons, type Polygon } from './polygons';
import { RLEMask, coco_encode_rle } from './rle';
import type { ImageSize } from '../core/types';

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

/** The one category of masks without a name, as SA-1B's. */
export const OBJECT_CATEGORY: CocoCategory = { id: 1, name: 'object' };

/** A data set that is put together image by image; `JSON.stringify` of it is the file. */
export class CocoDatasetBuilder implements CocoDataset {
  /** Images in the order in which they were added. */
  readonly images: CocoImage[] = [];
  /** Objects of all images. */
  readonly annotations: CocoAnnotation[] = [];
  /** One category: an object of whatever kind. */
  readonly categories: CocoCategory[] = [{ ...OBJECT_CATEGORY }];

  /**
   * Adds an image.
   *
   * @param file_name as the file shall name it.
   * @param size [height, width] in pixels.
   * @returns its id.
   */
  addImage(file_name: string, size: ImageSize): number {
    const [height, width] = size;
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
   * @param options.score predicted IoU.
   * @param options.segmentation 'coco_rle' (default) or 'polygons'.
   * @returns the annotation.
   * @throws TypeError and RangeError as mask_to_rle and rle_to_mask.
   */
  addMask(
    image_id: number,
    mask: MaskLike | RLE | CocoRLE,
    { score, segmentation = 'coco_rle' }: { score?: number; segmentation?: CocoSegmentation } = {},
  ): CocoAnnotation {
    const area = mask_area(mask);
    const [x1, y1, x2, y2] = mask_to_box(mask);
    const annotation: CocoAnnotation = {
      id: this.annotations.length + 1,
      image_id,
      category_id: OBJECT_CATEGORY.id,
      segmentation: segmentation === 'polygons' ? mask_to_polygons(mask) : compressed(mask),
      area,
      bbox: area === 0 ? [0, 0, 0, 0] : [x1, y1, x2 - x1 + 1, y2 - y1 + 1],
      iscrowd: 0,
    };
    if (score !== undefined) annotation.score = score;
    this.annotations.push(annotation);
    return annotation;
  }
}

function compressed(mask: MaskLike | RLE | CocoRLE): CocoRLE {
  if (!('counts' in mask)) return coco_encode_rle(mask_to_rle(mask));
  if (mask instanceof RLEMask) return mask.coco_rle;
  return typeof mask.counts === 'string' ? (mask as CocoRLE) : coco_encode_rle(mask as RLE);
}
