//go:build !purego

package kernels

import (
	"math"

	"qpt/internal/cpu"
)

//go:noescape
func transposeAVX512(t, rows *float32, k, blocks int)

//go:noescape
func transposeBF16AVX512(t *float32, rows *byte, k, blocks int)

//go:noescape
func spansAVX512(t *float32, pairs, groups int, lo, hi *lanes)

//go:noescape
func trialsAVX512(t, imp *float32, k int, pair *[2]trial)

//go:noescape
func searchAVX512(a *groupSearch)

//go:noescape
func encodeI4AVX512(e *encoding)

//go:noescape
func encodeI8AVX512(e *encoding)

//go:noescape
func encodeI8AVX2(e *encoding)

//go:noescape
func spansAVX2(t *float32, group, groups int, lo, hi *lanes)

//go:noescape
func tryAVX2(t, imp *float32, step, k int, p *trial)

//go:noescape
func setupAVX2(a *groupTrial)

//go:noescape
func keepAVX2(a *groupTrial)

//go:noescape
func transpose8BF16AVX2(t *float32, rows *[8]*byte, n int)

//go:noescape
func packGroupAVX2(t, imp *float32, data *byte, lines int, e *groupCodes)

//go:noescape
func bytesGroupAVX2(t, imp *float32, data *byte, lines int, e *groupCodes)

// The wrappers stay functions of their own: their prologues are where the
// collector can stop a loop over calls of assembly.

//go:noinline
func transpose(t, rows []float32, r int) {
	k := len(t) / 16
	if cpu.Active() < cpu.AVX2 || r < 16 || k < 16 {
		transposeGeneric(t, rows, 0, r)
		return
	}
	_ = rows[k*16-1]
	if cpu.Active() < cpu.AVX512 {
		for n := 0; n < 16; n += 8 {
			var p [8]*float32
			for i := range p {
				p[i] = &rows[(n+i)*k]
			}
			transpose8AVX2(&t[n], &p, k/4, 64, 256)
		}
		transposeGeneric(t, rows, k&^3, 16)
		return
	}
	transposeAVX512(&t[0], &rows[0], k, k/16)
	transposeGeneric(t, rows, k&^15, 16)
}

//go:noinline
func transposeBF16(t []float32, rows []byte, r int) {
	k := len(t) / 16
	if cpu.Active() < cpu.AVX2 || r < 16 || k < 16 {
		transposeBF16Generic(t, rows, 0, r)
		return
	}
	_ = rows[k*32-1]
	if cpu.Active() < cpu.AVX512 {
		for n := 0; n < 16; n += 8 {
			var p [8]*byte
			for i := range p {
				p[i] = &rows[(n+i)*k*2]
			}
			transpose8BF16AVX2(&t[n], &p, k/4)
		}
		transposeBF16Generic(t, rows, k&^3, 16)
		return
	}
	transposeBF16AVX512(&t[0], &rows[0], k, k/16)
	transposeBF16Generic(t, rows, k&^15, 16)
}

//go:noinline
func spans(t []float32, group int, lo, hi []lanes) {
	if cpu.Active() < cpu.AVX2 {
		spansGeneric(t, group, lo, hi)
		return
	}
	_, _ = t[len(lo)*group*16-1], hi[len(lo)-1]
	if cpu.Active() < cpu.AVX512 {
		spansAVX2(&t[0], group, len(lo), &lo[0], &hi[0])
		return
	}
	spansAVX512(&t[0], group/2, len(lo), &lo[0], &hi[0])
}

//go:noinline
func trials(t, imp []float32, pair *[2]trial) {
	if cpu.Active() < cpu.AVX512 {
		trialsGeneric(t, imp, pair)
		return
	}
	_ = t[len(imp)*16-1]
	trialsAVX512(&t[0], &imp[0], len(imp), pair)
}

//go:noinline
func searchGroups(a *groupSearch) {
	if cpu.Active() < cpu.AVX2 {
		searchGeneric(a)
		return
	}
	n := len(a.lo)
	_, _, _ = a.t[n*a.group*16-1], a.hi[n-1], a.params[n*16-1]
	if a.imp != nil {
		_ = a.imp[n*a.group-1]
	}
	if cpu.Active() < cpu.AVX512 {
		search256(a)
		return
	}
	searchAVX512(a)
}

// groupTrial is a candidate of one group and the best of those before it.
type groupTrial struct {
	trial
	scale, least, most lanes // of the group
	fit, down, up      float32
	levels, gscales    float32
	codes              [2][16]int32 // its own, the best one's
	best               lanes
}

// search256 is searchGeneric for AVX2.
func search256(a *groupSearch) {
	x := groupTrial{scale: a.scale, fit: a.fit, levels: a.levels, gscales: a.gscales}
	for g := range a.lo {
		x.least, x.most, x.codes[1] = a.lo[g], a.hi[g], [16]int32{}
		for n := range x.best {
			x.best[n] = float32(math.Inf(1))
		}
		k, end := g*a.group, (g+1)*a.group
		var imp []float32
		if a.imp != nil {
			imp = a.imp[k:end]
		}
		for _, c := range a.cand {
			x.down, x.up = c.down, c.up
			setupAVX2(&x)
			try(a.t[k*16:end*16], imp, &x.trial)
			keepAVX2(&x)
		}
		for n, err := range x.best {
			a.err[n] += err
			a.params[g*16+n] = byte(x.codes[1][n])
		}
	}
}

func try(t, imp []float32, p *trial) {
	if cpu.Active() < cpu.AVX2 {
		tryGeneric(t, imp, p)
		return
	}
	step := 4
	if imp == nil {
		imp, step = one[:], 0
	}
	tryAVX2(&t[0], &imp[0], step, len(t)/16, p)
}

var one = [1]float32{1}

func packGroup(g *groupCodes, t, imp []float32, data []byte) {
	if cpu.Active() < cpu.AVX2 || len(imp)%8 != 0 || len(imp) == 0 {
		packGroupGeneric(g, t, imp, data)
		return
	}
	_, _ = t[len(imp)*16-1], data[len(imp)*8-1]
	if len(data) == len(imp)*8 {
		packGroupAVX2(&t[0], &imp[0], &data[0], len(imp)/8, g)
	} else {
		bytesGroupAVX2(&t[0], &imp[0], &data[0], len(imp)/4, g)
	}
}

//go:noinline
func encodeGroups(e *encoding) {
	if cpu.Active() < cpu.AVX512 || e.format != I4 {
		encodeGroupsGeneric(e)
		return
	}
	k := len(e.data) / 8
	_, _, _ = e.t[k*16-1], e.imp[k-1], e.params[(k+e.group-1)/e.group*16-1]
	encodeI4AVX512(e)
}

//go:noinline
func encodeI8(e *encoding) {
	if cpu.Active() < cpu.AVX2 {
		encodeI8Generic(e)
		return
	}
	_ = e.t[len(e.data)-1]
	if cpu.Active() < cpu.AVX512 {
		encodeI8AVX2(e)
		return
	}
	encodeI8AVX512(e)
}
