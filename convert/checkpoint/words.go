package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"qpt/convert/export"
)

// kinds of files that are found where others should be, by how they begin.
var kinds = []struct{ start, words string }{
	{"version https://git-lfs.github.com/", "is a Git LFS pointer, not the file itself: fetch it with git lfs pull, or download it again"},
	{"<!doctype html", "is an HTML page, perhaps of a login or an error: download the file again"},
	{"<html", "is an HTML page, perhaps of a login or an error: download the file again"},
	{"<?xml", "is XML, perhaps an error of the server: download the file again"},
	{"gguf", "is a GGUF file under another name: give it a name that ends in .gguf"},
	{"pk\x03\x04", "is a zip archive, such as PyTorch writes, and not read: save the model as safetensors"},
	{"\x80\x02", "is a Python pickle, which is not read: save the model as safetensors"},
	{"\x89hdf\r\n", "is an HDF5 file, which is not read: save the model as safetensors"},
	{"\x1f\x8b", "is compressed by gzip: unpack it"},
	{"\x89qpt\r\n", "is a .qpt file, which is converted already: give the checkpoint it was made from"},
}

// sniff says what the file at path is instead of what its name says, "" if that cannot be told.
func sniff(path string) string {
	st, err := os.Stat(path)
	if err != nil || !st.Mode().IsRegular() {
		return ""
	}
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	head := make([]byte, 64)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return ""
	}
	text := bytes.TrimLeft(head[:n], "\ufeff \r\n\t")
	for i, b := range text { // strings.ToLower would replace bytes that are no UTF-8
		if 'A' <= b && b <= 'Z' {
			text[i] += 'a' - 'A'
		}
	}
	for _, k := range kinds {
		if bytes.HasPrefix(text, []byte(k.start)) {
			return k.words
		}
	}
	if json := filepath.Ext(path) == ".json"; !json && bytes.HasPrefix(text, []byte("{")) {
		return "is JSON text, perhaps an error of the server: download the file again"
	}
	return ""
}

// explain puts in the place of an error what a file is that cannot be what its
// name says: the one that the error names, or any other of the folder that is read.
func explain(err error, dir, weights string) error {
	if errors.Is(err, ErrInput) || errors.Is(err, export.ErrArchive) || errors.Is(err, export.ErrUnsupported) || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	shards, _ := filepath.Glob(filepath.Join(dir, "*.safetensors"))
	paths := []string{weights}
	for _, name := range []string{"model.safetensors.index.json", "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"} {
		paths = append(paths, filepath.Join(dir, name))
	}
	for _, path := range append(paths, shards...) {
		if words := sniff(path); words != "" && strings.Contains(err.Error(), filepath.Base(path)) {
			return fmt.Errorf("%w: %s %s", ErrInput, path, words)
		}
	}
	return err
}
