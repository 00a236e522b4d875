package quantized

import (
	"fmt"
	"slices"
	"sync"

	"qpt/convert/safetensors"
)

// readAt reads bytes of a tensor from off on.
func readAt(t *safetensors.Tensor, p []byte, off int) error {
	n, err := t.ReadAt(p, int64(off))
	if n == len(p) {
		return nil
	}
	return fmt.Errorf("%s: %w: it ended while it was read: %w", t.File(), ErrInput, err)
}

// rows reads rows of a tensor's bytes.
func rows(t *safetensors.Tensor, r0, r1 int) ([]byte, error) {
	row := int(t.Size()) / t.NumRows()
	p := make([]byte, (r1-r0)*row)
	return p, readAt(t, p, r0*row)
}

// bytesOf reads a small tensor.
func bytesOf(t *safetensors.Tensor) ([]byte, error) {
	p := make([]byte, t.Size())
	return p, readAt(t, p, 0)
}

// numbers reads all numbers of a small tensor.
func numbers(t *safetensors.Tensor) ([]float32, error) {
	v := make([]float32, t.NumElems())
	return v, t.ReadPart(0, v)
}

// columns reads columns of a matrix that is stored row by row, where rows of its transpose are wanted:
// a band of them at a time, since those that follow are wanted next.
type columns struct {
	t *safetensors.Tensor

	mu     sync.Mutex
	c0, c1 int
	band   []byte
}

// bandBytes is the size of a band.
const bandBytes = 2 << 20

// read returns the bytes of columns c0 to c1-1, which must not be changed: those of row i begin at i*stride.
func (c *columns) read(c0, c1 int) (p []byte, stride int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, cols, size := c.t.Shape[0], c.t.Shape[1], c.t.DType.Bits()/8
	if c.band == nil || c0 < c.c0 || c1 > c.c1 {
		end := min(cols, max(c1, c0+bandBytes/(n*size)))
		width := (end - c0) * size
		band := make([]byte, n*width) // a new one: others still read the old
		for i := range n {
			if err := readAt(c.t, band[i*width:(i+1)*width], (i*cols+c0)*size); err != nil {
				return nil, 0, err
			}
		}
		c.c0, c.c1, c.band = c0, end, band
	}
	return c.band[(c0-c.c0)*size:], (c.c1 - c.c0) * size, nil
}

// drop forgets the band behind the last column, so that a matrix that was read holds nothing.
func (c *columns) drop(c1 int) {
	if c1 < c.t.Shape[1] {
		return
	}
	c.mu.Lock()
	c.band = nil
	c.mu.Unlock()
}

// grouped puts columns in the order of their groups: order[j] is the column of place j, nil if they are in order. of is the
// group of each column.
func (m *module) grouped(of []float32, groups, size int) (order []int32) {
	k := len(of)
	count, sorted := make([]int, groups), true
	for i, g := range of {
		if g < 0 || int(g) >= groups {
			m.fail("g_idx: input %d is in group %v, there are %d", i, g, groups)
			return nil
		}
		count[int(g)]++
		sorted = sorted && int(g) == i/size
		order = append(order, int32(i))
	}
	if sorted {
		return nil
	}
	for g, n := range count {
		if want := min(size, k-g*size); n != want {
			m.unsupported("g_idx: group %d has %d inputs, must have %d", g, n, want)
			return nil
		}
	}
	slices.SortStableFunc(order, func(a, b int32) int { return int(of[a]) - int(of[b]) })
	return order
}

// place reorders codes of rows by order, from the order of columns.
func place(codes []uint8, order []int32) {
	if order == nil {
		return
	}
	row := make([]uint8, len(order))
	for ; len(codes) > 0; codes = codes[len(order):] {
		for j, k := range order {
			row[j] = codes[k]
		}
		copy(codes, row)
	}
}
