package main

import (
	"fmt"
	"os"
	"path/filepath"
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
		{tilestored(0, "SI", "BX"), "c4e27a4b041e"},
		{tdpbusd(0, 4, 6), "c4e2495ec4"},
		{tdpbusd(3, 5, 7), "c4e2415edd"},
		{tdpbf16ps(0, 4, 6), "c4e24a5cc4"},
		{prefetchw("R13", 64), "410f0d4d40"},
		{vpdpbusd256(3, 2, 1), "c4e26d50d9"},
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
