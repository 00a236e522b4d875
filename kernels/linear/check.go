package linear

import (
	"encoding/binary"
	"fmt"
	"math"

	"qpt/internal/num"
	"qpt/internal/par"
)

// CheckData reads the whole weight and tells whether it holds what every kernel takes for granted (spec/qpt.md, "What
// holds in the data"): each w8 an int8, Sum theirs, padding of value zero, scales finite and not negative, numbers
// finite. Kernels of other instruction sets give other results where one of these fails. Check must have passed.
func (w *Weight) CheckData(threads int) error {
	if w.Format == Codes {
		return w.checkCodedData(threads)
	}
	for n, s := range w.Scale {
		if !(s >= 0 && s <= math.MaxFloat32) {
			return fmt.Errorf("scale %d is %v, must be finite and not negative", n, s)
		}
	}
	for i, s := range w.GroupScale {
		if !(s >= 0 && s <= math.MaxFloat32) {
			return fmt.Errorf("group scale %d is %v, must be finite and not negative", i, s)
		}
	}
	errs := make([]error, w.Blocks())
	par.For(threads, len(errs), func(_, b int) {
		if w.Format.Bits() == 0 {
			errs[b] = w.checkFloats(b)
		} else {
			errs[b] = w.checkCodes(b)
		}
	})
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// checkFloats checks block b of a format of numbers.
func (w *Weight) checkFloats(b int) error {
	kp := num.Pad(w.K, 64)
	size := len(w.Data) / w.Blocks()
	data := w.Data[b*size:][:size]
	for i := range kp * 16 {
		k, n := i/16, 16*b+i%16
		var x float32
		if w.Format == F32 {
			x = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		} else {
			k, n = i/32*2+i%2, 16*b+i/2%16
			x = num.FromBF16(binary.LittleEndian.Uint16(data[2*i:]))
		}
		switch pads := k >= w.K || n >= w.N; {
		case pads && x != 0:
			return fmt.Errorf("padding at row %d, column %d is %v, must be 0", n, k, x)
		case x-x != 0:
			return fmt.Errorf("weight %d of row %d is %v, must be finite", k, n, x)
		}
	}
	return nil
}

// checkCodes checks block b of an integer format.
func (w *Weight) checkCodes(b int) error {
	block := w.Data[b*w.BlockBytes():][:w.BlockBytes()]
	if w.Format.Grouped() {
		if err := w.checkGroups(b, block); err != nil {
			return err
		}
		buf := make([]byte, num.Pad(w.K, 64)*16)
		expandBlock(w, b, buf)
		block = buf
	}
	var sums [16]int32
	for i, v := range block {
		c := i / 4 % 16
		sums[c] += int32(int8(v))
		if k := i/64*4 + i%4; v != 0 && (k >= w.K || 16*b+c >= w.N) {
			return fmt.Errorf("padding at row %d, column %d is %d, must be 0", 16*b+c, k, int8(v))
		}
	}
	if w.Format == I4F {
		return nil
	}
	for c, s := range sums {
		if n := 16*b + c; w.Sum[n] != s {
			return fmt.Errorf("sum of row %d is %d, must be %d", n, w.Sum[n], s)
		}
	}
	return nil
}

// checkGroups checks that the codes of block b lie where N4.2 wants them, and are 0 beyond the last group.
func (w *Weight) checkGroups(b int, block []byte) error {
	levels, _ := w.Format.Levels()
	end := w.GroupedK()
	for c := range 16 {
		column := block[4*c:]
		for g := range w.GroupCount() {
			v := w.Groups[(b*w.GroupCount()+g)*16+c]
			if w.Format == I4F && v > 15 {
				return fmt.Errorf("zero point of row %d, group %d is %d, must be 0 to 15", 16*b+c, g, v)
			}
			zero, gscale := w.Format.Split(v)
			lo, hi := w.Format.Range(zero, gscale)
			if int(lo) == -int(zero) && int(hi) == levels-int(zero) {
				continue // any code will do
			}
			for k := g * w.Group; k < min((g+1)*w.Group, end); k++ {
				if q := float32(w.Format.code(column, k)) - float32(zero); q < lo || q > hi {
					return fmt.Errorf("weight %d of row %d is %v times %d, which is no int8", k, 16*b+c, q, gscale)
				}
			}
		}
		for k := end; k < num.Pad(w.K, 64); k++ {
			if w.Format.code(column, k) != 0 {
				return fmt.Errorf("the code of row %d, column %d, beyond the last group, is not 0", 16*b+c, k)
			}
		}
	}
	return nil
}
