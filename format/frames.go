package format

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
)

// A zstd section is a row of independent frames of at most chunk decoded bytes
// each: an ordinary zstd stream for any tool, yet frames can be found by
// walking the block headers (one per 128 KiB) and decoded in parallel, each
// straight to its place. Frames state their decoded size and end in a checksum.
const chunk = 4 << 20

// newEncoder returns the one encoder setting of the format; a frame's bytes
// depend on the chunk alone. Literals are always entropy-coded because
// quantized weights have no matches, only a skewed distribution.
func newEncoder(threads int) (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(threads), zstd.WithEncoderLevel(zstd.SpeedDefault),
		zstd.WithWindowSize(chunk), zstd.WithSingleSegment(true), zstd.WithEncoderCRC(true), zstd.WithAllLitEntropyCompression(true))
}

var decoder = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxWindow(chunk),
		zstd.WithDecoderMaxMemory(chunk), zstd.WithDecodeAllCapLimit(true))
})

// frame is one zstd frame and its place among the decoded bytes.
type frame struct {
	data []byte
	off  int64
	size int64
}

// splitFrames finds the frames of a zstd section and checks that they decode
// to size bytes together, before anything of that size is allocated.
func splitFrames(b []byte, size int64) ([]frame, error) {
	var frames []frame
	var off int64
	for at := 0; at < len(b); {
		n, content, err := frameSize(b[at:])
		if err != nil {
			return nil, fmt.Errorf("%w: frame %d at byte %d: %v", ErrFrame, len(frames), at, err)
		}
		frames = append(frames, frame{b[at : at+n], off, content})
		at += n
		if off += content; off > size {
			break
		}
	}
	if off != size {
		return nil, fmt.Errorf("%w: they decode to %d bytes, the table says %d", ErrFrame, off, size)
	}
	return frames, nil
}

// frameSize returns the stored and the decoded size of the frame that starts b.
func frameSize(b []byte) (n int, content int64, err error) {
	var h zstd.Header
	if err := h.Decode(b); err != nil {
		return 0, 0, err
	}
	switch {
	case h.Skippable:
		return 0, 0, fmt.Errorf("it is skippable")
	case !h.HasFCS || h.FrameContentSize == 0 || h.FrameContentSize > chunk:
		return 0, 0, fmt.Errorf("decoded size must be stated and 1 to %d", chunk)
	case !h.HasCheckSum || h.DictionaryID != 0:
		return 0, 0, fmt.Errorf("it must have a checksum and no dictionary")
	}
	const blockHeader, checksum = 3, 4
	n = h.HeaderSize
	for last := false; !last; {
		if len(b)-n < blockHeader {
			return 0, 0, fmt.Errorf("cut short")
		}
		x := int(b[n]) | int(b[n+1])<<8 | int(b[n+2])<<16
		last = x&1 != 0
		size := x >> 3
		if x>>1&3 == 1 { // one byte, repeated size times
			size = 1
		}
		if n += blockHeader; size > len(b)-n {
			return 0, 0, fmt.Errorf("cut short")
		}
		n += size
	}
	if len(b)-n < checksum {
		return 0, 0, fmt.Errorf("cut short")
	}
	return n + checksum, int64(h.FrameContentSize), nil
}

// decodeFrames decodes frames in parallel into out, which holds the decoded
// bytes from the first frame's offset on.
func decodeFrames(frames []frame, out []byte) error {
	if len(frames) == 0 {
		return nil
	}
	d, err := decoder()
	if err != nil {
		return err
	}
	errs := make([]error, len(frames))
	parallel(len(frames), runtime.GOMAXPROCS(0), func(i int) {
		fr := frames[i]
		lo := fr.off - frames[0].off
		errs[i] = guard(func() error {
			got, err := d.DecodeAll(fr.data, out[lo:lo:lo+fr.size])
			if err == nil && int64(len(got)) != fr.size {
				err = fmt.Errorf("%d bytes, want %d", len(got), fr.size)
			}
			return err
		})
	})
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("%w: the one of decoded offset %d: %w", ErrFrame, frames[i].off, err)
		}
	}
	return nil
}

// parallel calls f(0) .. f(n-1) from up to threads goroutines.
func parallel(n, threads int, f func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(n, threads) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}
