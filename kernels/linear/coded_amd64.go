//go:build !purego

package linear

import (
	"math"
	"unsafe"

	"qpt/internal/cpu"
	"qpt/internal/num"
	"qpt/kernels/internal/mem"
)

var codedKernels = []Kernel{
	{Format: Codes, Form: AF32, ISA: cpu.AVX512, linear: expander(codedAVX512.expand).linear},
	{Format: Codes, Form: AF32, ISA: cpu.AVX2, linear: expander(codedAVX2.expand).linear},
}

// codedArgs is what expanders in assembly take: whole groups of so many tiles.
type codedArgs struct {
	dst                 *float32
	w                   *byte
	tiles, groups       int
	scale, offset, zero *float32 // [groups][16], or
	sstep, ostep, zstep int      // 64; 0: one for all
	table               *float32
}

// numbersArgs is what decoders of numbers take.
type numbersArgs struct {
	dst   *float32
	src   *byte
	lines int
	super *float32
}

// codedVector is the expanders of one instruction set by bits; permutes: those of up to 4 bits look values up in a table of 16.
type codedVector struct {
	codes, tables [9]func(*codedArgs)
	permutes      bool
}

var codedAVX512 = &codedVector{
	codes:    [9]func(*codedArgs){2: expandCodes2AVX512, expandCodes3AVX512, expandCodes4AVX512, expandCodes5AVX512, expandCodes6AVX512, expandCodes7AVX512, expandCodes8AVX512},
	tables:   [9]func(*codedArgs){2: expandCodes2AVX512, 3: expandCodes3AVX512, 4: expandCodes4AVX512, 8: expandTable8AVX512},
	permutes: true,
}

var codedAVX2 = &codedVector{
	codes:  [9]func(*codedArgs){2: expandCodes2AVX2, expandCodes3AVX2, expandCodes4AVX2, expandCodes5AVX2, expandCodes6AVX2, expandCodes7AVX2, expandCodes8AVX2},
	tables: [9]func(*codedArgs){4: expandTable4AVX2, 8: expandTable8AVX2},
}

// expand is an expander; what the assembly has no way for goes to the twin.
func (v *codedVector) expand(panel []float32, w *Weight, b, j0, j1 int, s *codedScratch) {
	c := w.Coded
	f := v.codes[c.Bits]
	if c.Table != nil {
		f = v.tables[c.Bits]
	}
	if f == nil || w.Group%8 != 0 && w.Group != w.K {
		expandGeneric(panel, w, b, j0, j1, s)
		return
	}
	n := num.Pad(j1-j0, 8)
	panel = panel[:n*16]
	g0, g1 := j0/w.Group, (j1-1)/w.Group+1
	a := codedArgs{dst: &panel[0], w: &w.Data[b*w.codedBytes()+j0/8*c.Bits*16:][:n*c.Bits*2][0], sstep: 64}
	zero, none := &s.constant[0], &s.constant[1]
	for i := range zero {
		zero[i], none[i] = float32(c.Zero), float32(math.Copysign(0, -1)) // x + -0 is x for all x
	}
	a.zero, a.offset = &zero[0], &none[0]
	switch {
	case v.permutes && c.Bits <= 4:
		for q := range 1 << c.Bits {
			if s.table[q] = float32(q - c.Zero); c.Table != nil {
				s.table[q] = c.Table[q]
			}
		}
		clear(zero[:])
		a.table = &s.table[0]
	case c.Table != nil:
		a.table = &c.Table[0]
	}
	s.scale = mem.Sized(s.scale, (g1-g0)*16)
	a.scale = c.Scale.fast(s.scale, w, b, g0, g1)
	if c.Offset.Form != 0 {
		s.offset = mem.Sized(s.offset, (g1-g0)*16)
		a.offset, a.ostep = c.Offset.fast(s.offset, w, b, g0, g1), 64
	}
	if c.Zeros != nil {
		s.zeros = mem.Sized(s.zeros, (g1-g0)*16)
		for i, z := range c.Zeros[(b*w.GroupCount()+g0)*16:][:(g1-g0)*16] {
			s.zeros[i] = float32(z)
		}
		a.zero, a.zstep = &s.zeros[0], 64
	}
	a.groups = (j1 - j0) / w.Group
	if a.tiles = w.Group / 8; a.groups > 0 && w.Group%8 == 0 {
		f(&a)
	} else {
		a.groups = 0
	}
	if rest := j1 - j0 - a.groups*w.Group; rest > 0 {
		done := a.groups
		a.dst = &panel[done*w.Group*16]
		a.w = (*byte)(unsafe.Add(unsafe.Pointer(a.w), done*w.Group*c.Bits*2))
		for _, p := range []struct {
			at   **float32
			step int
		}{{&a.scale, a.sstep}, {&a.offset, a.ostep}, {&a.zero, a.zstep}} {
			*p.at = (*float32)(unsafe.Add(unsafe.Pointer(*p.at), done*p.step))
		}
		a.tiles, a.groups = (rest+7)/8, 1
		f(&a)
	}
}

// fast is read by assembly; it returns the numbers, in dst or where they are.
func (x *Numbers) fast(dst []float32, w *Weight, b, g0, g1 int) *float32 {
	groups := w.GroupCount()
	data := x.Data[(b*groups+g0)*16*x.Form.Bytes():][:(g1-g0)*16*x.Form.Bytes()]
	a := numbersArgs{dst: &dst[0], src: &data[0], lines: g1 - g0}
	switch x.Form {
	case NumF32:
		return (*float32)(unsafe.Pointer(&data[0]))
	case NumF16:
		numbersF16AVX2(&a)
	case NumBF16:
		numbersBF16AVX2(&a)
	case NumE8M0:
		numbersE8M0AVX2(&a)
	case NumProduct:
		run, supers := superPlaces/w.Group, (w.K+superPlaces-1)/superPlaces
		for g := g0; g < g1; {
			end := min((g/run+1)*run, g1)
			a.dst, a.src, a.lines = &dst[(g-g0)*16], &data[(g-g0)*16], end-g
			a.super = &x.Super[(b*supers+g/run)*16]
			numbersProductAVX2(&a)
			g = end
		}
	}
	return &dst[0]
}

//go:noescape
func expandCodes2AVX512(a *codedArgs)

//go:noescape
func expandCodes3AVX512(a *codedArgs)

//go:noescape
func expandCodes4AVX512(a *codedArgs)

//go:noescape
func expandCodes5AVX512(a *codedArgs)

//go:noescape
func expandCodes6AVX512(a *codedArgs)

//go:noescape
func expandCodes7AVX512(a *codedArgs)

//go:noescape
func expandCodes8AVX512(a *codedArgs)

//go:noescape
func expandCodes2AVX2(a *codedArgs)

//go:noescape
func expandCodes3AVX2(a *codedArgs)

//go:noescape
func expandCodes4AVX2(a *codedArgs)

//go:noescape
func expandCodes5AVX2(a *codedArgs)

//go:noescape
func expandCodes6AVX2(a *codedArgs)

//go:noescape
func expandCodes7AVX2(a *codedArgs)

//go:noescape
func expandCodes8AVX2(a *codedArgs)

//go:noescape
func expandTable8AVX512(a *codedArgs)

//go:noescape
func expandTable4AVX2(a *codedArgs)

//go:noescape
func expandTable8AVX2(a *codedArgs)

//go:noescape
func numbersF16AVX2(a *numbersArgs)

//go:noescape
func numbersBF16AVX2(a *numbersArgs)

//go:noescape
func numbersE8M0AVX2(a *numbersArgs)

//go:noescape
func numbersProductAVX2(a *numbersArgs)
