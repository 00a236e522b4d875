//go:build linux && amd64

package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"qpt/internal/num"
)

// TestDecode: what the generator encoded is what its comments say, to the last byte.
func TestDecode(t *testing.T) {
	src, err := os.ReadFile("../../kernels/linear/linear_amx_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^\t(BYTE.*) // (\w+) ?(.*)$`)
	number := regexp.MustCompile(`0x(..)`)
	tile := regexp.MustCompile(`tmm(\d)`)
	names := strings.Fields("AX CX DX BX SP BP SI DI R8 R9 R10 R11 R12 R13 R14 R15")
	seen := 0
	for _, m := range line.FindAllStringSubmatch(string(src), -1) {
		op := opcode(strings.TrimSuffix(m[2], "T1"))
		if op == "VDPBF16PS" || op == "VCVTNE2PS2BF16" {
			continue
		}
		var code []byte
		for _, b := range number.FindAllStringSubmatch(m[1], -1) {
			v, _ := strconv.ParseUint(b[1], 16, 8)
			code = append(code, byte(v))
		}
		in := decode(append(code, 0xc3, 0xc3, 0xc3))
		if in.op != op || in.length != len(code) {
			t.Fatalf("%s: %s of %d bytes", m[0], in.op, in.length)
		}
		var tiles []int
		for _, r := range tile.FindAllStringSubmatch(m[3], -1) {
			n, _ := strconv.Atoi(r[1])
			tiles = append(tiles, n)
		}
		switch len(tiles) {
		case 3: // B, A, C
			if got := [3]int{in.vex, in.rm, in.reg}; got != [3]int(tiles) {
				t.Errorf("%s: %v", m[0], got)
			}
		case 1:
			if in.reg != tiles[0] {
				t.Errorf("%s: tile %d", m[0], in.reg)
			}
		}
		if in.memory && in.index >= 0 {
			if want := "(" + names[in.base] + ")(" + names[in.index] + "*" + strconv.Itoa(in.scale) + ")"; !strings.Contains(m[3], want) {
				t.Errorf("%s: %s", m[0], want)
			}
		}
		seen++
	}
	if seen < 90 {
		t.Errorf("only %d instructions seen", seen)
	}
}

// TestEVEX: pairs of encodings by the GNU assembler; of the last the address is relative, 0x100 behind the instruction.
func TestEVEX(t *testing.T) {
	for _, c := range []struct{ old, moved string }{
		{"c4e26d50d9", "62f26d2850d9"},
		{"c4422950f9", "62522d0850f9"},
		{"c4e26d505820", "62f26d28509820000000"},
		{"c4021d502c8c", "62121d28502c8c"},
		{"c4e26d509c4d00f0ffff", "62f26d28509c4d00f0ffff"},
		{"c4e26d501ccd00010000", "62f26d28501ccd00010000"},
		{"c4426d504500", "62526d28508500000000"},
		{"c4e26d501d00010000", "62f26d28501dfff0ffff"}, // 0x1000 further on, a byte longer
	} {
		old, _ := hex.DecodeString(c.old)
		if !vpdpbusd(append(old, 0)) {
			t.Errorf("%s: not taken", c.old)
			continue
		}
		moved, length := evex(append(old, 0xc3, 0xc3, 0xc3, 0xc3), 0x1000)
		if hex.EncodeToString(moved) != c.moved || length != len(old) {
			t.Errorf("%s: %x of %d bytes, want %s", c.old, moved, length, c.moved)
		}
	}
}

// TestTiles compares products of tiles of odd sizes with sums in float64 or exact ones.
func TestTiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, op := range []opcode{tdpbssd, tdpbsud, tdpbusd, tdpbuud, tdpbf16ps} {
		m, n, k := 1+rng.IntN(16), 1+rng.IntN(16), 1+rng.IntN(16)
		var u tiles
		config := [64]byte{0: 1, 48: byte(m), 49: byte(m), 50: byte(k)}
		config[16], config[18], config[20] = byte(4*n), byte(4*k), byte(4*n)
		if err := u.configure(config); err != nil {
			t.Fatal(err)
		}
		for r := 1; r < 3; r++ {
			for i := range u.data[r] {
				for j := 0; j < 64; j += 2 {
					v := uint16(rng.Uint32())
					if op == tdpbf16ps {
						v = num.BF16(float32(rng.NormFloat64()))
					}
					binary.LittleEndian.PutUint16(u.data[r][i][j:], v)
				}
			}
		}
		if err := u.multiply(op, 0, 1, 2); err != nil {
			t.Fatal(err)
		}
		for i := range m {
			for j := range n {
				var want, size float64
				add := func(x, y float64) { want += x * y; size += math.Abs(x * y) }
				for l := range k {
					a, b := u.data[1][i][4*l:4*l+4], u.data[2][l][4*j:4*j+4]
					switch {
					case op == tdpbf16ps:
						for p := 0; p < 4; p += 2 {
							add(float64(num.FromBF16(binary.LittleEndian.Uint16(a[p:]))), float64(num.FromBF16(binary.LittleEndian.Uint16(b[p:]))))
						}
					default:
						for p := range 4 {
							x, y := float64(a[p]), float64(b[p])
							if op == tdpbssd || op == tdpbsud {
								x = float64(int8(a[p]))
							}
							if op == tdpbssd || op == tdpbusd {
								y = float64(int8(b[p]))
							}
							add(x, y)
						}
					}
				}
				bits := binary.LittleEndian.Uint32(u.data[0][i][4*j:])
				got := float64(int32(bits))
				if op == tdpbf16ps {
					got = float64(math.Float32frombits(bits))
					size *= float64(k+2) / (1 << 24)
				} else {
					size = 0
				}
				if math.Abs(got-want) > size {
					t.Errorf("%s: %d x %d of %d: %g, want %g", op, m, n, k, got, want)
				}
			}
			if !bytes.Equal(u.data[0][i][4*n:], make([]byte, 64-4*n)) {
				t.Errorf("%s: columns beyond the tile's", op)
			}
		}
	}
	var u tiles
	if u.multiply(tdpbusd, 0, 1, 2) == nil || u.configure([64]byte{0: 1, 48: 17, 16: 4}) == nil || u.configure([64]byte{0: 2}) == nil {
		t.Error("faults are not seen")
	}
}
