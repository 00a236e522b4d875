// Package gguf reads model files of llama.cpp: metadata, tensors, tokenizer.
//
//	f, err := gguf.Open("SmolLM2-135M-Instruct-Q4_1.gguf")
//	defer f.Tensors.Close()
//	f.Config      // as config.json of the HuggingFace model
//	f.Tokenizer   // as tokenizer.json and tokenizer_config.json
//	f.Tensors     // under the names of the HuggingFace model, codes as they are
//
// One table tells each architecture (arch.go): the model_type it is, what its
// tensors are called, which keys of the metadata make its config. The header is
// read strictly and within bounds before anything is trusted; what changes the
// result and is not known is an error by name. Nothing is mapped.
package gguf

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"qpt/convert/stored"
	"qpt/runtime/lm/tokenizer"
)

// File is an open model.
type File struct {
	Name      string // general.name, or the file's
	Config    []byte // config.json
	Pool      string // what becomes of the last values of a text's tokens, of graph.SequencePool; "": the file does not say
	Tokenizer *tokenizer.Files
	Tensors   *stored.Checkpoint
	Notes     []string
}

// Is tells whether the file at path begins as GGUF files do.
func Is(path string) bool {
	if st, err := os.Stat(path); err != nil || !st.Mode().IsRegular() {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var magic [4]byte
	_, err = io.ReadFull(f, magic[:])
	return err == nil && string(magic[:]) == "GGUF"
}

// Open opens a model file. Of a model in several files (NAME-00001-of-00003.gguf)
// any may be named; all must be there.
func Open(path string) (*File, error) {
	files, err := openAll(path)
	if err != nil {
		return nil, err
	}
	closeAll := func() error {
		var errs []error
		for _, f := range files {
			errs = append(errs, f.disk.Close())
		}
		return errors.Join(errs...)
	}
	out, err := build(files)
	if err != nil {
		closeAll()
		return nil, fmt.Errorf("%s: %w", files[0].path, err)
	}
	source := stored.Source{Close: closeAll, Unchanged: func() error {
		var errs []error
		for _, f := range files {
			errs = append(errs, f.unchanged())
		}
		return errors.Join(errs...)
	}}
	for _, f := range files {
		source.Files = append(source.Files, stored.File{Path: f.path, Size: f.size, Reader: func() io.Reader { return io.NewSectionReader(f.in, 0, f.size) }})
	}
	if out.Tensors, err = stored.New(out.tensors, source); err != nil {
		closeAll()
		return nil, err
	}
	return out.File, nil
}

// model is a File on its way.
type model struct {
	*File
	meta    *meta
	arch    *arch
	tensors []*stored.Tensor
}

func build(files []*file) (*model, error) {
	m := &model{File: &File{}, meta: &meta{keys: files[0].keys, order: files[0].order, read: map[string]bool{}}}
	if err := m.refuse(); err != nil {
		return nil, err
	}
	m.Name = m.meta.text("general.name", strings.TrimSuffix(filepath.Base(files[0].path), filepath.Ext(files[0].path)))
	list := map[string]*region{}
	for _, f := range files {
		for _, t := range f.blocks {
			if other := list[t.name]; other != nil {
				return nil, fmt.Errorf("%w: tensor %q is there twice: in %s too", ErrCorrupt, t.name, other.in.path)
			}
			list[t.name] = t
		}
	}
	name := m.meta.text("general.architecture", "")
	if m.arch = archs[name]; m.arch == nil {
		return nil, fmt.Errorf("%w: general.architecture is %q; known: %s", ErrUnsupported, name, strings.Join(archNames(), ", "))
	}
	m.meta.arch = name
	if err := m.config(list); err != nil {
		return nil, err
	}
	if err := m.names(list); err != nil {
		return nil, err
	}
	return m, m.tokenizer()
}

// refuse names files that hold something else than a language model.
func (m *model) refuse() error {
	arch, kind := m.meta.text("general.architecture", ""), m.meta.text("general.type", "model")
	switch {
	case m.meta.err != nil:
		return m.meta.err
	case arch == "clip" || kind == "mmproj":
		return fmt.Errorf("%w: it holds the vision or audio encoder of a multimodal model (mmproj), not a language model: give the model's own file", ErrUnsupported)
	case kind == "adapter" || m.meta.keys["adapter.type"].text != "":
		return fmt.Errorf("%w: it holds an adapter (LoRA): merge it into its base model first", ErrUnsupported)
	case kind == "imatrix":
		return fmt.Errorf("%w: it holds an importance matrix, not a model", ErrUnsupported)
	case kind != "model":
		return fmt.Errorf("%w: general.type is %q, must be model", ErrUnsupported, kind)
	case arch == "":
		return fmt.Errorf("%w: general.architecture is missing", ErrCorrupt)
	}
	return nil
}

// splitName is how files of one model are called.
var splitName = regexp.MustCompile(`^(.*)-(\d{5})-of-(\d{5})\.gguf$`)

// openAll opens a file, or all of a model in several.
func openAll(path string) (files []*file, err error) {
	defer func() {
		if err != nil {
			for _, f := range files {
				f.disk.Close()
			}
		}
	}()
	first, err := openFile(path)
	if err != nil {
		return nil, err
	}
	files = []*file{first}
	count := int(first.keys["split.count"].bits)
	if count <= 1 {
		return files, nil
	}
	parts := splitName.FindStringSubmatch(filepath.Base(path))
	if parts == nil || count > 99999 || fmt.Sprintf("%05d", count) != parts[3] {
		return files, fmt.Errorf("%w: %s is one of %d files of a model; their names must be as llama-gguf-split makes them, NAME-00001-of-%05d.gguf", ErrUnsupported, path, count, count)
	}
	first.disk.Close()
	files = nil
	tensors := 0
	for i := range count {
		next := filepath.Join(filepath.Dir(path), fmt.Sprintf("%s-%05d-of-%05d.gguf", parts[1], i+1, count))
		f, err := openFile(next)
		if err != nil {
			return files, fmt.Errorf("file %d of the %d of the model: %w", i+1, count, err)
		}
		files = append(files, f)
		tensors += len(f.blocks)
		if no, of := f.keys["split.no"], f.keys["split.count"]; int(no.bits) != i || int(of.bits) != count {
			return files, fmt.Errorf("%w: %s says that it is number %d of %d, must be %d of %d", ErrCorrupt, next, no.bits, of.bits, i, count)
		}
	}
	if want, ok := files[0].keys["split.tensors.count"]; ok && int(want.bits) != tensors {
		return files, fmt.Errorf("%w: %s: the files have %d tensors, split.tensors.count says %d", ErrCorrupt, files[0].path, tensors, want.bits)
	}
	return files, nil
}
