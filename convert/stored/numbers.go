package stored

import (
	"fmt"
	"sync"
)

// numbers are the values of a matrix of codes.
type numbers struct{ t *Tensor }

// NumbersOf are the values of codes of a tensor that is not to be kept as codes, whatever the size of their groups.
func NumbersOf(c *Codes, name, file string) Numbers {
	return numbers{&Tensor{Name: name, File: file, Codes: c}}
}

// rowsAtOnce bounds what is read of a matrix before it is dequantized.
const rowsAtOnce = 16

// blocks holds the memory of ReadRows.
var blocks = sync.Pool{New: func() any { return new(Block) }}

// ReadRows implements Numbers.
func (n numbers) ReadRows(r0, r1 int, dst []float32) error {
	c := n.t.Codes
	if r0 < 0 || r1 < r0 || r1 > c.N || len(dst) != (r1-r0)*c.K {
		return n.wrap(fmt.Errorf("rows %d to %d asked for as %d values, it is [%d, %d]", r0, r1, len(dst), c.N, c.K))
	}
	b := blocks.Get().(*Block)
	defer blocks.Put(b)
	for ; r0 < r1; r0 += rowsAtOnce {
		rows := min(rowsAtOnce, r1-r0)
		if err := c.ReadBlock(r0, r0+rows, b); err != nil {
			return n.wrap(err)
		}
		part := dst[:rows*c.K]
		dst = dst[rows*c.K:]
		c.Dequantize(b, part)
		for i, v := range part {
			if v-v != 0 {
				return n.wrap(fmt.Errorf("%w: the weight of row %d, column %d is %v, must be finite", ErrCodes, r0+i/c.K, i%c.K, v))
			}
		}
	}
	return nil
}

// ReadPart implements Numbers.
func (n numbers) ReadPart(from int, dst []float32) error {
	k := n.t.Codes.K
	if from < 0 || len(dst) > n.t.Codes.N*k-from {
		return n.wrap(fmt.Errorf("%d values from %d on asked for, it is [%d, %d]", len(dst), from, n.t.Codes.N, k))
	}
	if len(dst) == 0 {
		return nil
	}
	r0, r1 := from/k, (from+len(dst)-1)/k+1
	if r0*k == from && (r1-r0)*k == len(dst) {
		return n.ReadRows(r0, r1, dst)
	}
	rows := make([]float32, (r1-r0)*k)
	if err := n.ReadRows(r0, r1, rows); err != nil {
		return err
	}
	copy(dst, rows[from-r0*k:])
	return nil
}

func (n numbers) wrap(err error) error {
	return fmt.Errorf("%s: tensor %.200q: %w", n.t.File, n.t.Name, err)
}
