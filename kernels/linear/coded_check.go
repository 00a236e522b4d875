package linear

import (
	"fmt"

	"qpt/internal/num"
	"qpt/internal/par"
)

// checkCodedData is CheckData for format Codes: numbers are finite, so are all weights, the order is a permutation, and padding is zero bytes.
func (w *Weight) checkCodedData(threads int) error {
	c := w.Coded
	seen := make([]bool, len(c.Order))
	for j, k := range c.Order {
		if k < 0 || int(k) >= w.K || seen[k] {
			return fmt.Errorf("column %d at place %d of the order is out of range or there twice", k, j)
		}
		seen[k] = true
	}
	for i, v := range c.Table {
		if !num.Finite(v) {
			return fmt.Errorf("value %d of the table is %v, must be finite", i, v)
		}
	}
	errs := make([]error, w.Blocks())
	par.For(threads, len(errs), func(_, b int) { errs[b] = w.checkCodedBlock(b) })
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *Weight) checkCodedBlock(b int) error {
	c := w.Coded
	groups := w.GroupCount()
	for n := range 16 {
		for g := range groups {
			scale, zero, offset := c.Scale.at(w, b, g, n), float32(c.Zero), float32(0)
			if c.Offset.Form != 0 {
				offset = c.Offset.at(w, b, g, n)
			}
			if c.Zeros != nil {
				zero = float32(c.Zeros[(b*groups+g)*16+n])
			}
			for _, v := range []float32{scale, offset} {
				if !num.Finite(v) {
					return fmt.Errorf("a scale or offset of row %d, group %d is %v, must be finite", 16*b+n, g, v)
				}
			}
			if least, most := c.extremes(zero); !num.Finite(least*scale+offset) || !num.Finite(most*scale+offset) {
				return fmt.Errorf("weights of row %d, group %d overflow", 16*b+n, g)
			}
			if 16*b+n >= w.N && (!c.Scale.zero((b*groups+g)*16+n) || c.Offset.Form != 0 && !c.Offset.zero((b*groups+g)*16+n) || c.Zeros != nil && zero != 0) {
				return fmt.Errorf("padding at row %d, group %d is not zero", 16*b+n, g)
			}
		}
		column := w.Data[b*w.codedBytes()+4*n:]
		for j := range num.Pad(w.K, tilePlaces) {
			if (16*b+n >= w.N || j >= w.K) && c.code(column, j) != 0 {
				return fmt.Errorf("padding at row %d, place %d is not zero", 16*b+n, j)
			}
		}
	}
	return nil
}

// extremes are the least and greatest value of a code.
func (c *Coded) extremes(zero float32) (least, most float32) {
	if c.Table == nil {
		return -zero, float32(int(1)<<c.Bits-1) - zero
	}
	least, most = c.Table[0], c.Table[0]
	for _, v := range c.Table {
		least, most = min(least, v), max(most, v)
	}
	return least, most
}

// zero tells whether the bytes of number i are.
func (x *Numbers) zero(i int) bool {
	for _, b := range x.Data[i*x.Form.Bytes():][:x.Form.Bytes()] {
		if b != 0 {
			return false
		}
	}
	return true
}
