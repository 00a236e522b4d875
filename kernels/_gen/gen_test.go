package main

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestEncoder compares with encodings from GNU binutils.
func TestEncoder(t *testing.T) {
	for _, c := range []struct {
		got  []byte
		want string
	}{
		{ldtilecfg("AX"), "c4e2784900"},
		{ldtilecfg("DI"), "c4e2784907"},
		{tilerelease(), "c4e27849c0"},
		{tilezero(0), "c4e27b49c0"},
		{tilezero(5), "c4e27b49e8"},
		{tileloadd(0, "SI", "BX"), "c4e27b4b041e"},
		{tileloadd(3, "DI", "BX"), "c4e27b4b1c1f"},
		{tileloadd(6, "R8", "R9"), "c4827b4b3408"},
		{tileloadd(0, "R10", "R9"), "c4827b4b040a"},
		{tileloadd(0, "R11", "R9"), "c4827b4b040b"},
		{tileloadd(1, "R13", "R9"), "c4827b4b4c0d00"},
		{tileloaddt1(4, "SI", "BX"), "c4e2794b241e"},
		{tilestored(0, "SI", "BX"), "c4e27a4b041e"},
		{tdpbusd(0, 4, 6), "c4e2495ec4"},
		{tdpbusd(3, 5, 7), "c4e2415edd"},
		{tdpbf16ps(0, 4, 6), "c4e24a5cc4"},
		{vpdpbusd256(3, 2, 1), "c4e26d50d9"},
		{vcvtne2ps2bf16(0, 1, 0), "62f2774872c0"},
		{vcvtne2ps2bf16(15, 16, 15), "62527f4072ff"},
		{vdpbf16ps(0, 26, 28), "62922e4052c4"},
		{vdpbf16ps(23, 31, 29), "6282064052fd"},
		{vdpbf16ps(9, 3, 10), "6252664852ca"},
	} {
		if got := fmt.Sprintf("%x", c.got); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

// TestCommitted holds that the files beside are what this generator prints.
func TestCommitted(t *testing.T) {
	for name, want := range files() {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s differs from the generator's output; run go generate ./kernels", name)
		}
	}
}

// encoders know each mnemonic's operands as the comments beside hand-written bytes give them.
var encoders = map[string]func(op []string) []byte{
	"LDTILECFG":      func(op []string) []byte { return ldtilecfg(op[0]) },
	"TILERELEASE":    func([]string) []byte { return tilerelease() },
	"TILEZERO":       func(op []string) []byte { return tilezero(number(op[0])) },
	"TILELOADD":      func(op []string) []byte { return tileloadd(number(op[0]), op[1], op[2]) },
	"TILESTORED":     func(op []string) []byte { return tilestored(number(op[0]), op[1], op[2]) },
	"TDPBF16PS":      func(op []string) []byte { return tdpbf16ps(number(op[0]), number(op[1]), number(op[2])) },
	"VDPBF16PS":      func(op []string) []byte { return vdpbf16ps(number(op[0]), number(op[1]), number(op[2])) },
	"VCVTNE2PS2BF16": func(op []string) []byte { return vcvtne2ps2bf16(number(op[0]), number(op[1]), number(op[2])) },
}

// number is that of a register such as tmm4 or zmm1.
func number(register string) int {
	n, err := strconv.Atoi(strings.TrimLeft(register, "tzm"))
	if err != nil {
		panic("register " + register)
	}
	return n
}

var (
	byteRun  = regexp.MustCompile(`(?:BYTE \$0x[0-9a-fA-F]{2}; )*BYTE \$0x[0-9a-fA-F]{2}`)
	oneByte  = regexp.MustCompile(`0x([0-9a-fA-F]{2})`)
	mnemonic = regexp.MustCompile(`//.*?\b(` + strings.Join(slices.Sorted(maps.Keys(encoders)), "|") + `)\b(.*)$`)
	operand  = regexp.MustCompile(`\w+`)
)

// TestBytesByHand: the bytes in hand-written assembly are the instruction in
// the comment behind them, on machines without these instructions too. A macro,
// which cannot hold comments, has its mnemonic on the line above it.
func TestBytesByHand(t *testing.T) {
	seen := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".s" {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil || strings.HasPrefix(string(src), "// Code generated") {
			return err // TestCommitted
		}
		above := ""
		for i, line := range strings.Split(string(src), "\n") {
			if !strings.Contains(line, "BYTE $") {
				if strings.Contains(line, "//") || !strings.HasSuffix(line, "\\") {
					above = line
				}
				continue
			}
			at := fmt.Sprintf("%s:%d", path, i+1)
			run := byteRun.FindAllString(line, -1)
			m := mnemonic.FindStringSubmatch(line)
			if m == nil {
				m = mnemonic.FindStringSubmatch(above)
			}
			if len(run) != 1 || m == nil {
				t.Errorf("%s: want the bytes of one instruction and, behind or above the macro, its mnemonic: %s", at, mnemonic)
				continue
			}
			got := ""
			for _, b := range oneByte.FindAllStringSubmatch(run[0], -1) {
				got += strings.ToLower(b[1])
			}
			if m[1] == "TILESTORED" || m[1] == "TILELOADD" {
				m[2] = strings.TrimSuffix(m[2], "*1)") // the scale
			}
			if want := fmt.Sprintf("%x", encoders[m[1]](operand.FindAllString(m[2], -1))); got != want {
				t.Errorf("%s: bytes %s, %s%s is %s", at, got, m[1], m[2], want)
			}
			seen++
		}
		return nil
	})
	if err != nil || seen < 20 {
		t.Errorf("%d instructions checked: %v", seen, err)
	}
	t.Logf("%d instructions", seen)
}
