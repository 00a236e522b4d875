package linear

import "qpt/internal/num"

// Where a weight lives (see the formats in weight.go), and moves between rows
// and blocks for what is not hot: tests, repacking, embedding lookup.

// PutRow stores codes [K] as row n: w8 for I8, 0 and above for grouped formats, whose
// Groups must be there already: codes that pad the last group become its zero
// point. Scales are the caller's, FillSums comes last.
func PutRow(w *Weight, n int, codes []int8) {
	checkRow(w, n, len(codes))
	row := w.Data[n/16*w.BlockBytes()+n%16*4:]
	if w.Format == I8 {
		for k, c := range codes {
			row[k/4*64+k%4] = byte(c)
		}
		return
	}
	zero, _ := w.Format.Split(w.Groups[(n/16*w.GroupCount()+w.GroupCount()-1)*16+n%16])
	put := func(p *byte, shift int, mask, c byte) { *p = *p&^(mask<<shift) | c&mask<<shift }
	for k := range w.GroupedK() {
		c := zero
		if k < len(codes) {
			c = byte(codes[k])
		}
		low, high := w.Format.place(k)
		put(&row[low], k&4, 15, c)
		if w.Format == I6 {
			put(&row[high], k/2&6, 3, c>>4)
		}
	}
}

// place returns where a block has the code of k, from its column's byte on: the
// low four bits, at bit k&4 there, and those above (I6), at bit k/2&6.
func (f Format) place(k int) (low, high int) {
	if f == I6 {
		return k/16*192 + k/8%2*64 + k%4, k/16*192 + 128 + k%4
	}
	return k/8*64 + k%4, 0
}

// code is the code of k in a block of a grouped format, from its column's byte on.
func (f Format) code(column []byte, k int) byte {
	low, high := f.place(k)
	c := column[low] >> (k & 4) & 15
	if f == I6 {
		c |= column[high] >> (k / 2 & 6) & 3 << 4
	}
	return c
}

// Row reads row n back: codes (I4F: minus their zero point) times gscale, that is
// w8 for I8, I6 and I4; W[n, k] = dst[k] * Scale[n], or * GroupScale for I4F. dst is [K].
func Row(w *Weight, n int, dst []int8) {
	checkRow(w, n, len(dst))
	row := w.Data[n/16*w.BlockBytes()+n%16*4:]
	if w.Format == I8 {
		for k := range dst {
			dst[k] = int8(row[k/4*64+k%4])
		}
		return
	}
	groups := w.Groups[n/16*w.GroupCount()*16+n%16:]
	for g := 0; g*w.Group < len(dst); g++ {
		zero, gscale := w.Format.Split(groups[g*16])
		for k := g * w.Group; k < min((g+1)*w.Group, len(dst)); k++ {
			dst[k] = int8((w.Format.code(row, k) - zero) * gscale)
		}
	}
}

// Split gives zero and gscale of a byte of Groups. In I4F it is a zero point up to 15, so gscale is 1.
func (f Format) Split(b byte) (zero, gscale byte) {
	return b & (1<<f.Bits() - 1), b>>f.Bits() + 1
}

// Join is the byte of Groups for zero and gscale.
func (f Format) Join(zero, gscale byte) byte { return zero | (gscale-1)<<f.Bits() }

// FillSums computes Sum from the packed weights, padding rows included.
func FillSums(w *Weight) {
	buf := make([]byte, num.Pad(w.K, 64)*16)
	for b := range w.Blocks() {
		block := w.Data[b*w.BlockBytes() : (b+1)*w.BlockBytes()]
		if w.Format != I8 {
			expandBlock(w, b, buf)
			block = buf
		}
		sum := (*[16]int32)(w.Sum[16*b:])
		*sum = [16]int32{}
		for i, v := range block {
			sum[i/4%16] += int32(int8(v))
		}
	}
}

// BlockBytes is the size in Data of 16 columns of an integer format.
func (w *Weight) BlockBytes() int {
	return num.Pad(w.K, 64) * 2 * w.Format.Bits()
}

func checkRow(w *Weight, n, k int) {
	if w.Format.Bits() == 0 {
		panic("linear: row of a weight that is not integer")
	}
	if n < 0 || n >= w.N || k != w.K {
		panic("linear: row outside the weight or not of its length")
	}
}

// expandBlock writes block b of a grouped format as an I8 block
// [Kp/4][16][4]: (code - zero) * gscale, zeros beyond the groups.
func expandBlock(w *Weight, b int, dst []byte) {
	data := w.Data[b*w.BlockBytes():]
	end := w.GroupedK()
	for g := 0; g*w.Group < end; g++ {
		bytes := w.Groups[(b*w.GroupCount()+g)*16:][:16]
		for k := g * w.Group; k < min((g+1)*w.Group, end); k += 4 {
			low, high := w.Format.place(k)
			out := dst[k*16:][:64]
			for i, v := range data[low:][:64] {
				c := v >> (k & 4) & 15
				if w.Format == I6 {
					c |= data[high+i] >> (k / 2 & 6) & 3 << 4
				}
				zero, gscale := w.Format.Split(bytes[i/4])
				out[i] = (c - zero) * gscale
			}
		}
	}
	clear(dst[end*16 : num.Pad(w.K, 64)*16])
}

// Range returns the least and greatest code less zero of a group whose w8 is an int8 (numerics N4.2).
func (f Format) Range(zero, gscale byte) (lo, hi float32) {
	levels, _ := f.Levels()
	z, g := int(zero), int(gscale)
	return float32(max(-z, -(128 / g))), float32(min(levels-z, 127/g))
}
