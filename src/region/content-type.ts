import mime from 'mime';

/**
 * Guesses a region's media type (RFC 9110 8.3) from the extension of its name.
 *
 * @returns `application/octet-stream` for an unknown extension or none; text is taken for UTF-8
 */
export function contentTypeOf(name: string): string {
  // The slash keeps mime from taking a name without a dot, such as `html`, for an extension.
  const type = mime.getType(`/${name}`) ?? 'application/octet-stream';
  return type.startsWith('text/') ? `${type}; charset=utf-8` : type;
}
