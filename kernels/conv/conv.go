// Package conv is what a convolution needs beside the GEMM of package linear: the patches that its rows are made of,
// depthwise convolutions, and pooling.
//
// A convolution is a linear layer on patches: row r of its input are the elements that place r of the result is made of,
// tap by tap, C/Groups features each (K = taps * C/Groups). So every scheme and every instruction set that package linear has
// serves convolutions too, with its bits (numerics N3.5, N6.1). Patches are made for as many rows as lie in a cache.
//
//	s := conv.Shape{In: .., Out: .., Kernel: .., C: 64, Groups: 1}
//	s.Patch(dst, x, r, 0, zero)   // for rows r of the block
//	linear.Linear(sink, acts, w, 0, w.Blocks(), scratch)
//
// Direct multiplies the input where it lies, Winograd takes a fourth of the products of layers of 3 x 3 on codes, Depthwise has one feature of the input for each of the result. What was learnt, on a
// Zen 4 (236 GMAC/s a core for bytes on AVX-512, go test -bench 'Direct|Winograd'; QPT_ISA=avx2 for the other):
//
//   - Tiles of 6 x 64 reach 215 to 229 GMAC/s of codes where K is 256 and more. The end of a tile takes 4.4 cycles for 16 sums, of which 3 are multiplications that N3.5 asks for, 2.8 more
//     with a residual, and a tile 15 besides: layers of 64 features reach 176. Masked stores cost nothing there. Items go through all images, so that the late layers of ResNet-50 at batch 8 read their weights once for
//     five pictures: nothing is left to gain by more.
//   - Words on AVX2 end at 92 to 96 GMAC/s, float32 at 56, whatever the layer. Bytes (VPMADDUBSW) do not saturate where two weights of a column are at most 128 together: of lines of 16 columns and two
//     features these are 81 % in SqueezeNet, 57 % in ResNet-20, 3 % in a MobileNet; large weights beside small ones make it 86, 54 and 1 %. Three instructions in place of four for these would gain a tenth to a
//     fifth, and no block of columns is safe as a whole. It was not built; fewer products gain three times. On registers alone a Zen 4 does 96 GMAC/s of words with the loads of a tile of 6 x 16, 118 of bytes
//     whose pairs do not saturate, 143 of bytes whose sums of four do not, 72 of two planes of 4 bits, 86 where float32 does a third of the work beside words.
//   - What gained nothing: items cut so that all workers end together (they ended 7 % apart in layers of 14 x 14, which take as long); weights transformed by 12 steps in place of 16 for six results (36
//     stores a vector, to lines that the first-level cache lacks, take 3.5 cycles each); SiLU where codes are wanted without its division, a table and a polynomial that are exact but near a tie, where SiLU
//     itself is computed (13.9 cycles a vector, 16 before: sums and products of 512 bits are one a cycle). What gained: each worker has columns of its own where weights are more than the input, and
//     weights to come are fetched while four tiles are multiplied, those of the next item too.
//   - Groups of 8 columns side by side in a block have half of its products for nothing; with inputs of its own for each half of a block RegNet-Y's layers on AVX2 take three quarters of the time.
//   - Items that make words for themselves cost: codes some 0.3 of the products of one block of columns, weights those of 4 to 5 rows. Words of weights kept for up to 256 KB in place of 128 made layers of
//     256 KB (ResNet-50) a tenth slower, since they are read once for 200 rows.
//   - Two workers that write parts of the same line of 64 codes take half as long again as one alone.
//   - A tile on AVX2 that ends in registers, all rows a step at a time, takes half as long as one that goes by memory row by row.
//   - Depthwise by float32 on AVX2 (8 codes made float32, columns loaded once, exact sums) was no faster than pairs of taps in two planes for most layers: conversions cost what the planes do.
//   - A depthwise kernel that loads an element for each tap is bound by loads, most of which cross a line; by columns each is loaded once.
package conv

import "fmt"

// Shape is a convolution of 3 dimensions; those of fewer have extents of 1 at the front.
type Shape struct {
	In, Out          [3]int
	Kernel           [3]int
	Stride, Dilation [3]int
	Before           [3]int // padding before each dimension
	C, Groups        int    // features of the input, and groups that they are in
	Transposed       bool   // place o of the result has element (o + Before - t*Dilation) / Stride for tap t
}

// Taps is the number of places that a kernel looks at.
func (s *Shape) Taps() int { return s.Kernel[0] * s.Kernel[1] * s.Kernel[2] }

// K is the length of a patch.
func (s *Shape) K() int { return s.Taps() * s.C / s.Groups }

// Places is the number of places of the result in one image.
func (s *Shape) Places() int { return s.Out[0] * s.Out[1] * s.Out[2] }

// Pointwise tells whether the patch of place r is row r of the input.
func (s *Shape) Pointwise() bool {
	return s.Taps() == 1 && s.Groups == 1 && s.Stride == [3]int{1, 1, 1} && s.Before == [3]int{} && s.In == s.Out
}

// reach is from where to where the pixels lie that rows r0 to r1-1 are made of, of all images one after the other: whole lines, or of a pointwise one the rows.
func (s *Shape) reach(r0, r1 int) (first, end int) {
	if s.Pointwise() {
		return r0, r1
	}
	places, image := s.Places(), s.In[0]*s.In[1]*s.In[2]
	first, end = r0/places*image, ((r1-1)/places+1)*image
	if s.In[0] > 1 || s.Out[0] > 1 || s.Transposed {
		return first, end
	}
	from, _ := s.Lines(r0%places/s.Out[2], 1)
	_, to := s.Lines((r1-1)%places/s.Out[2], 1)
	return first + from*s.In[2], max(end-(s.In[1]-to)*s.In[2], first+from*s.In[2])
}

// Lines is from where to where the lines of the input lie that n lines of the result from h on are made of, in two dimensions.
func (s *Shape) Lines(h, n int) (from, to int) {
	at := h*s.Stride[1] - s.Before[1]
	last := at + (n-1)*s.Stride[1] + (s.Kernel[1]-1)*s.Dilation[1]
	return min(max(at, 0), s.In[1]), min(max(last+1, 0), s.In[1])
}

// check panics if n numbers from pixel begin on are not what rows r0 to r1-1 are made of; it returns what is.
func (s *Shape) check(n, begin, r0, r1 int) (first, end int) {
	if first, end = s.reach(r0, r1); begin > first || n < (end-begin)*s.C {
		panic(fmt.Sprintf("conv: %d numbers from pixel %d on, for rows that need pixels %d to %d of %d", n, begin, first, end, s.C))
	}
	return first, end
}

// element is the index of an element of dimension i for place o and tap t, -1 outside.
func (s *Shape) element(i, o, t int) int {
	at := o*s.Stride[i] - s.Before[i] + t*s.Dilation[i]
	if s.Transposed {
		at = o + s.Before[i] - t*s.Dilation[i]
		if at%s.Stride[i] != 0 {
			return -1
		}
		at /= s.Stride[i] // of a negative one: stays negative, or is 0, which it is not
	}
	if at < 0 || at >= s.In[i] {
		return -1
	}
	return at
}

// Patch writes the patch of row r of the result (all images one after the other) in a group to dst [K]: elements of
// x [images, In.., C], and zero where there are none.
func Patch[T byte | float32](s *Shape, dst, x []T, r, group int, zero T) {
	width := s.C / s.Groups
	places := s.Places()
	image, p := r/places, r%places
	w := p % s.Out[2]
	h := p / s.Out[2] % s.Out[1]
	d := p / s.Out[2] / s.Out[1]
	x = x[image*s.In[0]*s.In[1]*s.In[2]*s.C+group*width:]
	line := s.Kernel[2] * width
	first := w*s.Stride[2] - s.Before[2]
	whole := s.Groups == 1 && !s.Transposed && s.Dilation[2] == 1 && first >= 0 && first+s.Kernel[2] <= s.In[2]
	for kd := range s.Kernel[0] {
		id := s.element(0, d, kd)
		for kh := range s.Kernel[1] {
			ih := s.element(1, h, kh)
			row := dst[:line]
			dst = dst[line:]
			if id < 0 || ih < 0 {
				fill(row, zero)
				continue
			}
			from := (id*s.In[1] + ih) * s.In[2] * s.C
			if whole {
				copy(row, x[from+first*s.C:])
				continue
			}
			for kw := range s.Kernel[2] {
				to := row[kw*width:][:width]
				if iw := s.element(2, w, kw); iw >= 0 {
					copy(to, x[from+iw*s.C:])
				} else {
					fill(to, zero)
				}
			}
		}
	}
}

func fill[T byte | float32](x []T, v T) {
	for i := range x {
		x[i] = v
	}
}
