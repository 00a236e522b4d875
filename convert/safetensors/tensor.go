package safetensors

import (
	"fmt"
	"io"
	"sync"
)

// Tensor is one tensor of an open checkpoint. Its methods may be called from
// several goroutines at once, but not together with Checkpoint.Close.
type Tensor struct {
	Name  string
	DType DType
	Shape []int // not negative; empty for a scalar

	file      *file
	off, size int64 // bytes, in the file
}

// NumElems returns the number of elements.
func (t *Tensor) NumElems() int { return int(t.size * 8 / int64(t.DType.Bits())) }

// NumRows returns the first dimension; a scalar is one row.
func (t *Tensor) NumRows() int {
	if len(t.Shape) == 0 {
		return 1
	}
	return t.Shape[0]
}

// RowLen returns the number of elements of a row, the product of all
// dimensions but the first: 1 for vectors, whose rows are their elements, and 0
// for tensors without elements.
func (t *Tensor) RowLen() int {
	// Not by multiplying: [0, 1<<40, 1<<40] is a sound shape.
	return t.NumElems() / max(1, t.NumRows())
}

// Size returns the number of bytes.
func (t *Tensor) Size() int64 { return t.size }

// File returns the path of the file that the tensor is in.
func (t *Tensor) File() string { return t.file.path }

// Bytes returns the tensor as it is stored, little-endian and row by row,
// without a copy: a view of the mapped file. It is read-only (a write is a
// fault), at any alignment, and gone after Checkpoint.Close. If somebody
// truncates the file meanwhile, touching it is a fault too; ReadAt and ReadRows
// return an error instead.
func (t *Tensor) Bytes() ([]byte, error) {
	b, err := t.file.mapped()
	if err != nil {
		return nil, t.wrap(err)
	}
	return b[t.off : t.off+t.size : t.off+t.size], nil
}

// ReadAt reads stored bytes from offset off of the tensor on; see io.ReaderAt.
func (t *Tensor) ReadAt(p []byte, off int64) (int, error) {
	n, err := io.NewSectionReader(t.file.f, t.off, t.size).ReadAt(p, off)
	if err != nil && err != io.EOF {
		err = t.wrap(err)
	}
	return n, err
}

// chunks holds the buffers of ReadRows.
var chunks = sync.Pool{New: func() any { return new([256 << 10]byte) }}

// ReadRows reads rows r0 to r1-1 into dst, which must have (r1-r0)*RowLen
// elements, as float32: exact from F16, BF16, I8, U8, I16 and U16, rounded to
// nearest even from F64 and wider integers; the other dtypes give ErrDType. It
// reads piecewise with pread and maps nothing, so that tensors larger than
// memory can be streamed.
func (t *Tensor) ReadRows(r0, r1 int, dst []float32) error {
	if r0 < 0 || r1 < r0 || r1 > t.NumRows() {
		return t.wrap(fmt.Errorf("rows %d to %d asked for, it has %d", r0, r1, t.NumRows()))
	}
	if want := (r1 - r0) * t.RowLen(); len(dst) != want {
		return t.wrap(fmt.Errorf("%d values asked for, rows %d to %d have %d", len(dst), r0, r1, want))
	}
	return t.ReadPart(r0*t.RowLen(), dst)
}

// ReadPart is ReadRows for the elements from on, wherever their rows begin.
func (t *Tensor) ReadPart(from int, dst []float32) error {
	if from < 0 || from > t.NumElems() || len(dst) > t.NumElems()-from {
		return t.wrap(fmt.Errorf("%d values from %d on asked for, it has %d", len(dst), from, t.NumElems()))
	}
	toFloat := floats[t.DType]
	if toFloat == nil {
		return t.wrap(fmt.Errorf("%w: %v", ErrDType, t.DType))
	}
	buf := chunks.Get().(*[256 << 10]byte)
	defer chunks.Put(buf)
	width := t.DType.Bits() / 8
	off := t.off + int64(from)*int64(width)
	for len(dst) > 0 {
		n := min(len(dst), len(buf)/width)
		b := buf[:n*width]
		if _, err := t.file.f.ReadAt(b, off); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF // the file was truncated after Open
			}
			return t.wrap(err)
		}
		toFloat(dst[:n], b)
		dst, off = dst[n:], off+int64(len(b))
	}
	return nil
}

// wrap says where err happened.
func (t *Tensor) wrap(err error) error {
	return fmt.Errorf("%s: tensor %s: %w", t.file.path, clip(t.Name), err)
}
