//go:build linux && amd64

package main

import (
	"encoding/binary"
	"fmt"
	"math"

	"qpt/internal/num"
)

// tiles are the tile registers of a thread (Intel SDM volume 1, chapter 18; palette 1).
type tiles struct {
	config [64]byte // as LDTILECFG read it; palette 0 where none is loaded
	data   [8][16][64]byte
}

func (t *tiles) loaded() bool      { return t.config[0] == 1 }
func (t *tiles) rows(r int) int    { return int(t.config[48+r]) }
func (t *tiles) columns(r int) int { return int(binary.LittleEndian.Uint16(t.config[16+2*r:])) }

// configure is LDTILECFG.
func (t *tiles) configure(c [64]byte) error {
	*t = tiles{}
	if c[0] == 0 {
		return nil
	}
	if c[0] != 1 || c[1] != 0 {
		return fmt.Errorf("palette %d, start row %d", c[0], c[1])
	}
	t.config = c
	for r := range 8 {
		if rows, cols := t.rows(r), t.columns(r); rows > 16 || cols > 64 || (rows == 0) != (cols == 0) {
			return fmt.Errorf("tile %d has %d rows of %d bytes", r, rows, cols)
		}
	}
	for _, b := range append(c[2:16:16], c[32:48]...) {
		if b != 0 {
			return fmt.Errorf("reserved bytes are not 0")
		}
	}
	for _, b := range c[56:] {
		if b != 0 {
			return fmt.Errorf("reserved bytes are not 0")
		}
	}
	return nil
}

// check says what is wrong with tile r.
func (t *tiles) check(r int) error {
	if !t.loaded() || t.rows(r) == 0 {
		return fmt.Errorf("tile %d is not configured", r)
	}
	return nil
}

// multiply adds the products of tiles a and b to tile c.
func (t *tiles) multiply(op opcode, c, a, b int) error {
	for _, r := range []int{a, b, c} {
		if err := t.check(r); err != nil {
			return err
		}
	}
	if a == b || b == c || a == c {
		return fmt.Errorf("tiles %d, %d, %d: not three different ones", c, a, b)
	}
	m, n, k := t.rows(c), t.columns(c)/4, t.rows(b)
	if t.rows(a) != m || t.columns(b) != 4*n || t.columns(a) != 4*k {
		return fmt.Errorf("%d rows of %d bytes by %d of %d do not give %d of %d",
			t.rows(a), t.columns(a), k, t.columns(b), m, 4*n)
	}
	if op == tdpbf16ps {
		for i := range m {
			t.pairs(&t.data[c][i], &t.data[a][i], &t.data[b], n, k)
		}
		return nil
	}
	signedA, signedB := op == tdpbssd || op == tdpbsud, op == tdpbssd || op == tdpbusd
	var y [16][64]int32
	for l := range k {
		for j, v := range t.data[b][l] {
			y[l][j] = extend(v, signedB)
		}
	}
	for i := range m {
		row := &t.data[c][i]
		var sums [16]int32
		for l := range k {
			x := t.data[a][i][4*l : 4*l+4]
			x0, x1, x2, x3 := extend(x[0], signedA), extend(x[1], signedA), extend(x[2], signedA), extend(x[3], signedA)
			for j, z := 0, &y[l]; j < 64; j += 4 {
				sums[j/4] += x0*z[j] + x1*z[j+1] + x2*z[j+2] + x3*z[j+3]
			}
		}
		for j := range n {
			at := row[4*j : 4*j+4]
			binary.LittleEndian.PutUint32(at, binary.LittleEndian.Uint32(at)+uint32(sums[j]))
		}
	}
	return nil
}

func extend(b byte, signed bool) int32 {
	if signed {
		return int32(int8(b))
	}
	return int32(b)
}

// pairs is a row of TDPBF16PS: sums of the even and of the odd products, each rounded at every step, meet at the end.
func (t *tiles) pairs(c, a *[64]byte, b *[16][64]byte, n, k int) {
	half := func(row *[64]byte, i int) float32 {
		return flush(num.FromBF16(binary.LittleEndian.Uint16(row[2*i:])))
	}
	for j := range n {
		var sums [2]float32
		for l := range k {
			for p := range 2 {
				sums[p] = flush(num.FMA32(half(a, 2*l+p), half(&b[l], 2*j+p), sums[p]))
			}
		}
		at := c[4*j : 4*j+4]
		old := flush(math.Float32frombits(binary.LittleEndian.Uint32(at)))
		binary.LittleEndian.PutUint32(at, math.Float32bits(flush(old+flush(sums[0]+sums[1]))))
	}
}

// flush makes subnormal numbers 0, as the unit does with inputs and results.
func flush(x float32) float32 {
	if b := math.Float32bits(x); b<<1 < 1<<24 {
		return math.Float32frombits(b & (1 << 31))
	}
	return x
}
