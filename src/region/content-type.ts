import mime from 'mime';

/** The media type (RFC 9110 8.3) that a name's extension stands for; text is taken for UTF-8. */
export function contentTypeOf(name: string): string {
  const type = mime.getType(extensionOf(name)) ?? 'application/octet-stream';
  return type.startsWith('text/') ? `${type}; charset=utf-8` : type;
}

// What is behind the last dot, unless that begins the name's last part; mime itself would search the whole name for it.
function extensionOf(name: string): string {
  const dot = name.lastIndexOf('.');
  const slash = Math.max(name.lastIndexOf('/'), name.lastIndexOf('\\'));
  return dot > slash + 1 ? name.slice(dot + 1) : '';
}
