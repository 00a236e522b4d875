package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestHits: right classes are counted where they are known, among the first and the first five.
func TestHits(t *testing.T) {
	var h hits
	top := topClasses([]float32{0.5, 3, -1, 2, 7, 0, 1}, []string{"a", "b"}, 6)
	if got := top[1]; top[0].Class != 4 || got.Class != 1 || got.Label != "b" || got.name() != "1 b" || top[0].name() != "4" {
		t.Fatalf("likeliest classes %+v", top)
	}
	for _, right := range []int{-1, 4, 1, 5, 2} { // 5 is the sixth, 2 the seventh
		h.count(right, top)
	}
	one, five := h.shares()
	if h != (hits{4, 1, 2}) || one.Share != 0.25 || five.Share != 0.5 || !(one.Low > 0.04 && one.High < 0.7) {
		t.Errorf("%+v: top-1 %v, top-5 %v", h, one, five)
	}
	if one, five = (&hits{}).shares(); one != nil || five != nil {
		t.Error("shares of no picture")
	}
}

// TestAlbumJoin: pictures of several paths one after the other, with their right classes by name, as a number or a label.
func TestAlbumJoin(t *testing.T) {
	part := func(names ...string) *album {
		return &album{names: names, right: slices.Repeat([]int{-1}, len(names)), close: func() error { return nil }, row: func(i int) ([]float32, error) { return []float32{float32(names[i][0])}, nil }}
	}
	a := part("x/a.png", "x/b.png")
	a.join(part("c.jpg"))
	a.join(part("d.jpg", "e.jpg"))
	for i, want := range "abcde" {
		name := filepath.Base(a.names[i])
		if row, err := a.row(i); err != nil || name[0] != byte(want) || row[0] != float32(a.names[i][0]) {
			t.Errorf("picture %d is %s, %v, %v", i, a.names[i], row, err)
		}
	}
	path := filepath.Join(t.TempDir(), "classes.txt")
	if err := os.WriteFile(path, []byte("b.png dog\n\nd.jpg 7\nother.png 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := a.readAnswers(path, []string{"cat", "dog"}); err != nil || !slices.Equal(a.right, []int{-1, 1, -1, 7, -1}) {
		t.Errorf("right classes %v, %v", a.right, err)
	}
	if err := os.WriteFile(path, []byte("b.png horse\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := a.readAnswers(path, []string{"cat", "dog"}); err == nil {
		t.Error("an unknown label is taken")
	}
}
