//go:build !purego

package linear

import (
	"sync"

	"qpt/kernels/internal/mem"
)

// On AVX2 the four partial sums are products of their own: 16 registers hold
// one of them for 6 x 16 results. Both matrices are packed into four streams of
// lines by k mod 4: w in panels of 16 columns, x in tiles of 6 rows (a line is 8 long).
// What one call takes of w, 16 KB, stays in the first-level cache while the tiles
// of a block of x pass, which stays in the second with its sums.
const (
	matmulPanels256 = 16      // x is packed once for so many panels, ..
	matmulPacked    = 3 << 18 // .. if w has no more floats, but at least for matmulPanels
	matmulTiles     = 4
	matmulSpan      = 1024 // k, 256 lines of each stream
)

// matmulArgs is a span of one stream: a panel of w times tiles of x.
type matmulArgs struct {
	w     *float32 // [steps][16]
	x     *float32 // [tiles][steps][8], tiles are xTile bytes apart
	sums  *float32 // [tiles][6][16], 4*6*16 apart
	steps int
	tiles int
	xTile int
	more  bool // add to sums
}

//go:noescape
func matmulAVX2(a *matmulArgs)

//go:noescape
func matmulJoinAVX2(sums *[4][matmulRows][16]float32, y *[matmulRows]*float32)

// matmulScratch is what one product packs and adds up.
type matmulScratch struct {
	w, x []float32 // [panels][4][lines][16], [tiles][4][lines][8]
	sums [matmulPanels256][matmulTiles][4][matmulRows][16]float32
}

var matmulScratches = sync.Pool{New: func() any { return new(matmulScratch) }}

// matmul256 is matmul for AVX2.
func matmul256(y [][]float32, n0 int, x [][]float32, w []float32) {
	if len(x) == 0 || len(w) == 0 {
		return
	}
	k := len(x[0])
	s := matmulScratches.Get().(*matmulScratch)
	defer matmulScratches.Put(s)
	// Two lines more: streams a power of two apart would share lines of the cache.
	lines, xLines := streamLines(k)+2, streamLines(min(k, matmulSpan+7))+2
	columns := 16 * max(matmulPanels, min(matmulPanels256, matmulPacked/16/k))
	if n := columns * 4 * lines; len(s.w) < n {
		s.w = make([]float32, n)
	}
	if n := matmulTiles * 4 * xLines * 8; len(s.x) < n {
		s.x = make([]float32, n)
	}
	var rows [8][]float32
	for ; len(w) > 0; n0 += columns {
		n := min(columns, len(w)/k)
		panels := (n + 15) / 16
		for j := 0; j < panels*16; j += 8 {
			for i := range rows {
				r := min(j+i, n-1)
				rows[i] = w[r*k : (r+1)*k]
			}
			packStreams(s.w[j/16*4*lines*16+j%16:], 16, lines, &rows)
		}
		for m0 := 0; m0 < len(x); m0 += matmulTiles * matmulRows {
			xs, ys := x[m0:min(m0+matmulTiles*matmulRows, len(x))], y[m0:]
			tiles := (len(xs) + matmulRows - 1) / matmulRows
			for k0, k1 := 0, 0; k0 < k; k0 = k1 {
				if k1 = k0 + matmulSpan; k1 > k&^7 {
					k1 = k
				}
				for t := range tiles {
					for i := range rows {
						rows[i] = xs[min(t*matmulRows+i, len(xs)-1)][k0:k1]
					}
					packStreams(s.x[t*4*xLines*8:], 8, xLines, &rows)
				}
				for p := range panels {
					sums := &s.sums[p]
					if k0 == 0 && k1 == k {
						sums = &s.sums[0] // still in the first-level cache
					}
					for c := range 4 {
						a := matmulArgs{w: &s.w[((p*4+c)*lines+k0/4)*16], x: &s.x[c*xLines*8], sums: &sums[0][c][0][0],
							steps: (k1 - k0) &^ 7 / 4, tiles: tiles, xTile: 4 * xLines * 8 * 4, more: k0 > 0}
						if c == 0 {
							a.steps = streamLines(k1 - k0)
						}
						matmulAVX2(&a)
					}
					for m := 0; k1 == k && m < len(xs); m += matmulRows {
						join(&sums[m/matmulRows], ys[m:min(m+matmulRows, len(xs))], n0+16*p, min(16, n-16*p))
					}
				}
			}
		}
		w = w[n*k:]
	}
}

// streamLines is how many lines the first and longest stream has for k values.
func streamLines(k int) int { return k&^7/4 + k&7 }

// packStreams sets 8 of the values of each line of t [4][lines][wide] to the rows' of one k.
// It is not inlined: its prologue is where the collector can stop the loop.
//
//go:noinline
func packStreams(t []float32, wide, lines int, rows *[8][]float32) {
	n := len(rows[0])
	whole := n &^ 7
	if whole > 0 {
		var p [8]*float32
		for i, row := range rows {
			p[i] = &row[:n][0]
		}
		_ = t[(3*lines+whole/4-1)*wide+7]
		mem.Transpose8AVX2(&t[0], &p, whole/4, lines*wide*4, wide*4)
	}
	for k := whole; k < n; k++ {
		for i, row := range rows {
			t[(whole/4+k-whole)*wide+i] = row[k]
		}
	}
}

// join sets r columns of up to 6 rows of y from n0 on.
func join(sums *[4][matmulRows][16]float32, y [][]float32, n0, r int) {
	var out [matmulRows][16]float32
	var yp [matmulRows]*float32
	for i := range yp {
		yp[i] = &out[i][0]
		if i < len(y) && r == 16 {
			yp[i] = &y[i][n0 : n0+16][0]
		}
	}
	matmulJoinAVX2(sums, &yp)
	if r < 16 {
		for i := range y {
			copy(y[i][n0:n0+r], out[i][:r])
		}
	}
}
