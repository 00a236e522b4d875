//go:build !purego

package linear

import (
	"unsafe"

	"qpt/internal/cpu"
)

var codedKernels = []Kernel{
	{Format: Codes, Form: A24, ISA: cpu.AVX512, linear: codedAVX512.coder().linear},
	{Format: Codes, Form: A24, ISA: cpu.AVXVNNI, linear: codedAVXVNNI.coder().linear},
	{Format: Codes, Form: A24, ISA: cpu.AVX2, linear: codedAVX2.coder().linear},
	{Format: Codes, Form: AF32, ISA: cpu.AVX512, linear: codedAVX512.coder().linearTable},
	{Format: Codes, Form: AF32, ISA: cpu.AVX2, linear: codedAVX2.coder().linearTable},
}

// unpackArgs is what unpackers take: tiles of 32 places, dst [tiles*8][16][4]; table [16] or nil.
type unpackArgs struct {
	dst, src *byte
	tiles    int
	table    *byte
}

// numbersArgs is what decoders of numbers take.
type numbersArgs struct {
	dst   *float32
	src   *byte
	lines int
	super *float32
}

// codedVector is the assembly of one instruction set.
type codedVector struct {
	codes, tables [8]func(*unpackArgs)       // by bits
	dot           [9][4]func(*digitArgs)     // by rows, by digits
	row           [2][2][4][9]func(*rowArgs) // of stored codes: with a table, in half tiles, by digits, by bits
	table         [3]func(*tableArgs)        // by tableWay: one row, four blocks
	narrow, wide  [4]func(*digitArgs)        // a row of codes up to 15 and above 127, if that is not the same
	expand        [3]func(*expandArgs)       // by tableWay
	words         *[4]wordKernel             // by digits
}

var codedAVX512 = &codedVector{
	codes:  [8]func(*unpackArgs){2: unpackCodes2AVX512, unpackCodes3AVX512, unpackCodes4AVX512, unpackCodes5AVX512, unpackCodes6AVX512, unpackCodes7AVX512},
	tables: [8]func(*unpackArgs){2: unpackTable2AVX512, unpackTable3AVX512, unpackTable4AVX512},
	dot:    [9][4]func(*digitArgs){1: {1: dotDigits1x1AVX512, dotDigits2x1AVX512, dotDigits3x1AVX512}, 4: {1: dotDigits1x4AVX512, dotDigits2x4AVX512, dotDigits3x4AVX512}, 8: {1: dotDigits1x8AVX512, dotDigits2x8AVX512}},
	row: [2][2][4][9]func(*rowArgs){
		{{1: {2: dotRowCodes2x1AVX512, dotRowCodes3x1AVX512, dotRowCodes4x1AVX512, dotRowCodes5x1AVX512, dotRowCodes6x1AVX512, 8: dotRowCodes8x1AVX512}, 3: {2: dotRowCodes2x3AVX512, dotRowCodes3x3AVX512, dotRowCodes4x3AVX512, dotRowCodes5x3AVX512, dotRowCodes6x3AVX512, 8: dotRowCodes8x3AVX512}},
			{1: {2: dotRowCodes2x1HalfAVX512, dotRowCodes3x1HalfAVX512, dotRowCodes4x1HalfAVX512, dotRowCodes5x1HalfAVX512, dotRowCodes6x1HalfAVX512, 8: dotRowCodes8x1HalfAVX512}, 3: {2: dotRowCodes2x3HalfAVX512, dotRowCodes3x3HalfAVX512, dotRowCodes4x3HalfAVX512, dotRowCodes5x3HalfAVX512, dotRowCodes6x3HalfAVX512, 8: dotRowCodes8x3HalfAVX512}}},
		{{1: {3: dotRowTable3x1AVX512, dotRowTable4x1AVX512}, 3: {3: dotRowTable3x3AVX512, dotRowTable4x3AVX512}},
			{1: {3: dotRowTable3x1HalfAVX512, dotRowTable4x1HalfAVX512}, 3: {3: dotRowTable3x3HalfAVX512, dotRowTable4x3HalfAVX512}}},
	},
	table:  [3]func(*tableArgs){table16: dotTable16x4AVX512, tableE4M3: e4m3Row()},
	expand: [3]func(*expandArgs){expandTable16AVX512, expandTable256AVX512, expandE4M3AVX512},
}

// e4m3Row is the faster of two kernels with the same bits.
func e4m3Row() func(*tableArgs) {
	if cpu.HasVBMI() {
		return dotE4M3x4VBMI
	}
	return dotE4M3x4AVX512
}

var codedAVX2 = &codedVector{
	codes:  [8]func(*unpackArgs){2: unpackCodes2AVX2, unpackCodes3AVX2, unpackCodes4AVX2, unpackCodes5AVX2, unpackCodes6AVX2, unpackCodes7AVX2},
	tables: [8]func(*unpackArgs){2: unpackTable2AVX2, unpackTable3AVX2, unpackTable4AVX2},
	dot:    [9][4]func(*digitArgs){1: {1: dotDigits1AVX2, dotDigits2AVX2, dotDigits3AVX2}},
	narrow: [4]func(*digitArgs){1: dotDigits1NarrowAVX2, dotDigits2NarrowAVX2, dotDigits3NarrowAVX2},
	wide:   [4]func(*digitArgs){2: dotDigits2WideAVX2, dotDigits3WideAVX2},
	words:  &[4]wordKernel{1: {dotWords1AVX2, makeWords1AVX2, 2}, {dotWords2AVX2, makeWords2AVX2, 2}, {dotWords3AVX2, makeWords3AVX2, 4}},
	expand: [3]func(*expandArgs){expandTable16AVX2, expandTable256AVX2, expandE4M3AVX2},
}

var codedAVXVNNI = &codedVector{
	codes: codedAVX2.codes, tables: codedAVX2.tables, expand: codedAVX2.expand,
	dot: [9][4]func(*digitArgs){1: {1: dotDigits1x1AVXVNNI, dotDigits2x1AVXVNNI, dotDigits3x1AVXVNNI}, 2: {1: dotDigits1x2AVXVNNI, dotDigits2x2AVXVNNI, dotDigits3x2AVXVNNI}},
}

func (v *codedVector) coder() *coder {
	return &coder{
		unpack: func(panel, tiles []byte, c *Coded, table *[16]byte) {
			a := unpackArgs{dst: &panel[0], src: &tiles[0], tiles: len(panel) / 512}
			f := v.codes[c.Bits]
			if table != nil {
				a.table, f = &table[0], v.tables[c.Bits]
			}
			f(&a)
		},
		dot: func(a *digitArgs, planes int, top uint8) {
			f := v.dot[a.rows][planes]
			switch {
			case top > 127 && v.wide[planes] != nil:
				f = v.wide[planes]
			case top < 16 && v.narrow[planes] != nil:
				f = v.narrow[planes]
			}
			f(a)
		},
		words: func(planes, group int, top uint8) *wordKernel {
			// Of 256 places the sum of two digits fits an int32, and each one's is exact as float32, so that it is the same to add them before.
			if v.words == nil || top <= 127 || planes > 1 && group > 256 {
				return nil
			}
			return &v.words[planes]
		},
		expand: func(a *expandArgs, way tableWay) { v.expand[way](a) },
		read:   readNumbers, merge: mergeAVX2, finish: finishAVX2, table: v.table,
		row: func(c *Coded, planes int, half bool) func(*rowArgs) {
			by := &v.row[0]
			if c.Table != nil {
				by = &v.row[1]
			}
			if half {
				return by[1][planes][c.Bits]
			}
			return by[0][planes][c.Bits]
		},
		rows: func(planes, rows int) int {
			n := min(rows, len(v.dot)-1)
			for v.dot[n][planes] == nil {
				n--
			}
			return n
		},
	}
}

// makeDigits turns a multiple of 16 values into integers.
func makeDigits(dst []byte, sums []int32, x []float32, d digitsArgs) {
	if cpu.Active() < cpu.AVX2 || len(x) == 0 {
		digitsGeneric(dst, sums, x, d)
		return
	}
	d.dst, d.sums, d.x, d.n = &dst[:digitWidth(d.planes)*len(x)][0], &sums[:len(x)/16][0], &x[0], len(x)
	[...]func(*digitsArgs){1: round1AVX2, 2: round2AVX2, 3: digitsAVX2}[d.planes](&d)
}

// readNumbers returns the numbers of groups, in dst or where they are.
func readNumbers(x *Numbers, dst []float32, w *Weight, b, g0, g1 int) []float32 {
	groups := w.GroupCount()
	data := x.Data[(b*groups+g0)*16*x.Form.Bytes():][:(g1-g0)*16*x.Form.Bytes()]
	a := numbersArgs{dst: &dst[0], src: &data[0], lines: g1 - g0}
	switch x.Form {
	case NumF32:
		return unsafe.Slice((*float32)(unsafe.Pointer(&data[0])), (g1-g0)*16)
	case NumF16:
		numbersF16AVX2(&a)
	case NumBF16:
		numbersBF16AVX2(&a)
	case NumE8M0:
		numbersE8M0AVX2(&a)
	case numU8:
		numbersU8AVX2(&a)
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
	return dst
}

//go:noescape
func unpackCodes2AVX512(a *unpackArgs)

//go:noescape
func unpackCodes3AVX512(a *unpackArgs)

//go:noescape
func unpackCodes4AVX512(a *unpackArgs)

//go:noescape
func unpackCodes5AVX512(a *unpackArgs)

//go:noescape
func unpackCodes6AVX512(a *unpackArgs)

//go:noescape
func unpackCodes7AVX512(a *unpackArgs)

//go:noescape
func unpackTable2AVX512(a *unpackArgs)

//go:noescape
func unpackTable3AVX512(a *unpackArgs)

//go:noescape
func unpackTable4AVX512(a *unpackArgs)

//go:noescape
func expandTable16AVX512(a *expandArgs)

//go:noescape
func expandTable256AVX512(a *expandArgs)

//go:noescape
func expandE4M3AVX512(a *expandArgs)

//go:noescape
func unpackCodes2AVX2(a *unpackArgs)

//go:noescape
func unpackCodes3AVX2(a *unpackArgs)

//go:noescape
func unpackCodes4AVX2(a *unpackArgs)

//go:noescape
func unpackCodes5AVX2(a *unpackArgs)

//go:noescape
func unpackCodes6AVX2(a *unpackArgs)

//go:noescape
func unpackCodes7AVX2(a *unpackArgs)

//go:noescape
func unpackTable2AVX2(a *unpackArgs)

//go:noescape
func unpackTable3AVX2(a *unpackArgs)

//go:noescape
func unpackTable4AVX2(a *unpackArgs)

//go:noescape
func expandTable16AVX2(a *expandArgs)

//go:noescape
func expandTable256AVX2(a *expandArgs)

//go:noescape
func expandE4M3AVX2(a *expandArgs)

//go:noescape
func dotDigits1x1AVX512(a *digitArgs)

//go:noescape
func dotDigits1x4AVX512(a *digitArgs)

//go:noescape
func dotDigits1x8AVX512(a *digitArgs)

//go:noescape
func dotDigits2x8AVX512(a *digitArgs)

//go:noescape
func dotDigits1AVX2(a *digitArgs)

//go:noescape
func dotDigits2x1AVX512(a *digitArgs)

//go:noescape
func dotDigits2x4AVX512(a *digitArgs)

//go:noescape
func dotDigits2AVX2(a *digitArgs)

//go:noescape
func dotDigits2WideAVX2(a *digitArgs)

//go:noescape
func dotDigits3x1AVX512(a *digitArgs)

//go:noescape
func dotDigits3x4AVX512(a *digitArgs)

//go:noescape
func dotDigits3AVX2(a *digitArgs)

//go:noescape
func dotDigits3WideAVX2(a *digitArgs)

//go:noescape
func dotTable16x4AVX512(a *tableArgs)

//go:noescape
func dotE4M3x4AVX512(a *tableArgs)

//go:noescape
func dotE4M3x4VBMI(a *tableArgs)

//go:noescape
func dotWords1AVX2(a *digitArgs)

//go:noescape
func dotWords2AVX2(a *digitArgs)

//go:noescape
func dotWords3AVX2(a *digitArgs)

//go:noescape
func makeWords1AVX2(a *wordsArgs)

//go:noescape
func makeWords2AVX2(a *wordsArgs)

//go:noescape
func makeWords3AVX2(a *wordsArgs)

//go:noescape
func mergeAVX2(a *mergeArgs)

//go:noescape
func finishAVX2(a *finishArgs)

//go:noescape
func digitsAVX2(a *digitsArgs)

//go:noescape
func round1AVX2(a *digitsArgs)

//go:noescape
func round2AVX2(a *digitsArgs)

//go:noescape
func numbersF16AVX2(a *numbersArgs)

//go:noescape
func numbersBF16AVX2(a *numbersArgs)

//go:noescape
func numbersE8M0AVX2(a *numbersArgs)

//go:noescape
func numbersProductAVX2(a *numbersArgs)

//go:noescape
func numbersU8AVX2(a *numbersArgs)

//go:noescape
func dotDigits1NarrowAVX2(a *digitArgs)

//go:noescape
func dotDigits2NarrowAVX2(a *digitArgs)

//go:noescape
func dotDigits3NarrowAVX2(a *digitArgs)

//go:noescape
func dotRowCodes2x1AVX512(a *rowArgs)

//go:noescape
func dotRowCodes2x1HalfAVX512(a *rowArgs)

//go:noescape
func dotRowCodes2x3AVX512(a *rowArgs)

//go:noescape
func dotRowCodes2x3HalfAVX512(a *rowArgs)

//go:noescape
func dotRowCodes3x1AVX512(a *rowArgs)

//go:noescape
func dotRowCodes3x1HalfAVX512(a *rowArgs)

//go:noescape
func dotRowCodes3x3AVX512(a *rowArgs)

//go:noescape
func dotRowCodes3x3HalfAVX512(a *rowArgs)

//go:noescape
func dotRowCodes4x1AVX512(a *rowArgs)

//go:noescape
func dotRowCodes4x1HalfAVX512(a *rowArgs)

//go:noescape
func dotRowCodes4x3AVX512(a *rowArgs)

//go:noescape
func dotRowCodes4x3HalfAVX512(a *rowArgs)

//go:noescape
func dotRowCodes5x1AVX512(a *rowArgs)

//go:noescape
func dotRowCodes5x1HalfAVX512(a *rowArgs)

//go:noescape
func dotRowCodes5x3AVX512(a *rowArgs)

//go:noescape
func dotRowCodes5x3HalfAVX512(a *rowArgs)

//go:noescape
func dotRowCodes6x1AVX512(a *rowArgs)

//go:noescape
func dotRowCodes6x1HalfAVX512(a *rowArgs)

//go:noescape
func dotRowCodes6x3AVX512(a *rowArgs)

//go:noescape
func dotRowCodes6x3HalfAVX512(a *rowArgs)

//go:noescape
func dotRowCodes8x1AVX512(a *rowArgs)

//go:noescape
func dotRowCodes8x1HalfAVX512(a *rowArgs)

//go:noescape
func dotRowCodes8x3AVX512(a *rowArgs)

//go:noescape
func dotRowCodes8x3HalfAVX512(a *rowArgs)

//go:noescape
func dotRowTable3x1AVX512(a *rowArgs)

//go:noescape
func dotRowTable3x1HalfAVX512(a *rowArgs)

//go:noescape
func dotRowTable3x3AVX512(a *rowArgs)

//go:noescape
func dotRowTable3x3HalfAVX512(a *rowArgs)

//go:noescape
func dotRowTable4x1AVX512(a *rowArgs)

//go:noescape
func dotRowTable4x1HalfAVX512(a *rowArgs)

//go:noescape
func dotRowTable4x3AVX512(a *rowArgs)

//go:noescape
func dotRowTable4x3HalfAVX512(a *rowArgs)

//go:noescape
func dotDigits1x1AVXVNNI(a *digitArgs)

//go:noescape
func dotDigits1x2AVXVNNI(a *digitArgs)

//go:noescape
func dotDigits2x1AVXVNNI(a *digitArgs)

//go:noescape
func dotDigits2x2AVXVNNI(a *digitArgs)

//go:noescape
func dotDigits3x1AVXVNNI(a *digitArgs)

//go:noescape
func dotDigits3x2AVXVNNI(a *digitArgs)
