package format

import (
	"context"
	"errors"

	"qpt/internal/outfile"
)

// Rewrite writes the contents of src to dst with its weights sections raw (to
// be mapped) or zstd (to be sent). Every section decodes to the same bytes, so
// tensors and digests stay the same, and going there and back gives the same
// file. progress counts decoded bytes and may be nil. When ctx is done it stops
// with ctx's error and leaves no file. dst must not be the file of src.
func Rewrite(ctx context.Context, src *File, dst string, weights Encoding, progress func(done, total int64)) error {
	if err := outfile.Check(dst, src.Path()); err != nil {
		return err
	}
	w, err := Create(dst, WriteOptions{})
	if err != nil {
		return err
	}
	defer w.Abort()
	tick := src.ticker(progress)
	for i, s := range src.Sections() {
		enc := s.Encoding
		if s.Kind == KindWeights {
			enc = weights
		}
		sw, err := w.Section(s.Kind, s.Name, enc)
		if err != nil {
			return err
		}
		if err := src.stream(i, func(b []byte) error {
			_, err := sw.Write(b)
			tick(len(b))
			return errors.Join(err, ctx.Err())
		}); err != nil {
			return err
		}
		if err := sw.Close(); err != nil {
			return err
		}
	}
	return w.Commit()
}
