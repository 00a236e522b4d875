package calibrate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"qpt/runtime/lm/corpus"
)

// ErrText is matched by errors about a calibration file.
var ErrText = errors.New("bad calibration file")

// maxText bounds the calibration files: they are read whole.
const maxText = 256 << 20

// TextOptions say which part of a file is used; Reader, Samples and Length are required.
type TextOptions struct {
	Reader          *corpus.Reader
	Tensors         func(path string, file []byte) (ids [][]int32, err error) // documents of the bytes of a .safetensors file; nil: there may be none
	BOS             int                                                       // put before every sample that does not start with it; < 0: none
	Samples, Length int                                                       // sequences, and tokens of one at most
	Seed            uint64
}

// Text reads calibration sequences from a file, or from the .txt, .jsonl and .safetensors
// files of a folder in the order of their names. A .safetensors file is what Tensors
// makes of it; for the others see package corpus. Documents are
// cut into samples; if there are more than wanted, a choice by seed is used, in
// the files' order. sum is the SHA-256 of the files one after another in hex.
func Text(ctx context.Context, path string, o TextOptions) (seqs [][]int32, sum string, err error) {
	var docs [][]int32
	sum, err = o.files(ctx, path, &docs, func(file string, data []byte) error {
		list, err := o.Reader.File(ctx, file, data)
		docs = append(docs, list...)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	body := o.Length
	if o.BOS >= 0 {
		body--
	}
	if body < 1 || o.Samples < 1 {
		return nil, "", fmt.Errorf("calibrate: %d samples of %d tokens: too few", o.Samples, o.Length)
	}
	for _, ids := range docs {
		if o.BOS >= 0 && len(ids) > 0 && ids[0] == int32(o.BOS) {
			ids = ids[1:]
		}
		seqs = slices.AppendSeq(seqs, slices.Chunk(ids, body))
	}
	if len(seqs) == 0 {
		return nil, "", fmt.Errorf("%w: %s holds no text", ErrText, path)
	}
	if len(seqs) > o.Samples {
		pick := rand.New(rand.NewPCG(o.Seed, 0)).Perm(len(seqs))[:o.Samples]
		slices.Sort(pick)
		chosen := make([][]int32, len(pick))
		for i, p := range pick {
			chosen[i] = seqs[p]
		}
		seqs = chosen
	}
	if o.BOS >= 0 {
		for i, part := range seqs {
			seqs[i] = append([]int32{int32(o.BOS)}, part...)
		}
	}
	return seqs, sum, nil
}

// Texts is Text for a model that reads whole texts: each as the model reads it, with the types of its tokens (nil: 0). Of more than
// come to Samples times Length tokens, which are short lines or long, a choice by seed is used.
func Texts(ctx context.Context, path string, o TextOptions) (seqs, types [][]int32, sum string, err error) {
	var docs [][]int32
	var list []corpus.Text
	sum, err = o.files(ctx, path, &docs, func(file string, data []byte) error {
		texts, err := o.Reader.Texts(ctx, file, data)
		list = append(list, texts...)
		return err
	})
	if err != nil {
		return nil, nil, "", err
	}
	for _, ids := range docs {
		list = append(list, corpus.Text{IDs: ids})
	}
	list = slices.DeleteFunc(list, func(t corpus.Text) bool { return len(t.IDs) == 0 })
	if len(list) == 0 {
		return nil, nil, "", fmt.Errorf("%w: %s holds no text", ErrText, path)
	}
	var pick []int
	left := o.Samples * o.Length
	for _, i := range rand.New(rand.NewPCG(o.Seed, 0)).Perm(len(list)) {
		if left -= len(list[i].IDs); left < 0 && pick != nil {
			break
		}
		pick = append(pick, i)
	}
	slices.Sort(pick)
	for _, i := range pick {
		seqs, types = append(seqs, list[i].IDs), append(types, list[i].Types)
	}
	return seqs, types, sum, nil
}

// files shows read the files but tensors, whose documents it adds, and returns the digest of all.
func (o *TextOptions) files(ctx context.Context, path string, docs *[][]int32, read func(file string, data []byte) error) (sum string, err error) {
	files, err := TextFiles(path)
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	left := int64(maxText)
	for _, file := range files {
		st, err := os.Stat(file)
		if err != nil {
			return "", err
		}
		if left -= st.Size(); left < 0 {
			return "", fmt.Errorf("%w: %s has more than %d bytes", ErrText, path, maxText)
		}
		data, err := corpus.ReadFile(ctx, file, left+st.Size())
		if err != nil {
			return "", err
		}
		hash.Write(data)
		if strings.EqualFold(filepath.Ext(file), ".safetensors") {
			if o.Tensors == nil {
				return "", fmt.Errorf("%w: %s: tensors are not read here", ErrText, file)
			}
			list, err := o.Tensors(file, data)
			if err != nil {
				return "", fmt.Errorf("%w: %w", ErrText, err)
			}
			*docs = append(*docs, list...)
			continue
		}
		if err := read(file, data); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// TextFiles lists the files that Text reads.
func TextFiles(path string) (files []string, err error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.IsDir() {
		return []string{path}, nil
	}
	list, err := os.ReadDir(path) // in the order of names
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		if ext := strings.ToLower(filepath.Ext(e.Name())); (ext == ".txt" || ext == ".jsonl" || ext == ".safetensors") && !e.IsDir() {
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	if files == nil {
		return nil, fmt.Errorf("%w: %s: the folder has no .txt, .jsonl or .safetensors files", ErrText, path)
	}
	return files, nil
}
