package safetensors

import (
	"errors"
	"fmt"
)

// ErrCorrupt is matched by every error about what a file contains. A file that
// is not there matches fs.ErrNotExist instead.
var ErrCorrupt = errors.New("corrupt checkpoint")

// rule is one rule of the format, as an error that matches ErrCorrupt.
type rule string

func (r rule) Error() string        { return string(r) }
func (r rule) Is(target error) bool { return target == ErrCorrupt }

// The rules, in the order in which a file is held against them. The first ten
// are the official crate's; its name for each stands behind it.
var (
	ErrHeaderTooSmall error = rule("file too small")                               // HeaderTooSmall
	ErrHeaderTooLarge error = rule("header too large")                             // HeaderTooLarge
	ErrHeaderLength   error = rule("header reaches past the end of the file")      // InvalidHeaderLength
	ErrHeaderUTF8     error = rule("JSON is not valid UTF-8")                      // InvalidHeader
	ErrJSON           error = rule("bad JSON")                                     // InvalidHeaderDeserialization
	ErrOffsets        error = rule("data_offsets leave a hole or overlap")         // InvalidOffset
	ErrOverflow       error = rule("size overflows")                               // ValidationOverflow
	ErrSubByte        error = rule("size is not a whole number of bytes")          // MisalignedSlice
	ErrTensorSize     error = rule("data_offsets do not fit dtype and shape")      // TensorInvalidInfo
	ErrFileLength     error = rule("file does not end where the last tensor does") // MetadataIncompleteBuffer

	// ErrDuplicateKey: an object has two keys of one name; the format forbids
	// it, the official crate keeps the last.
	ErrDuplicateKey error = rule("key appears twice")
	// ErrNotFile: a folder, pipe or device stands where a file should.
	ErrNotFile error = rule("not a regular file")
	// ErrShardName: weight_map points out of the checkpoint's folder.
	ErrShardName error = rule("shard must be a file name without a path")
	// ErrIndex: index file and shards disagree.
	ErrIndex error = rule("index does not match the shards")
)

// ErrDType is matched when a tensor's numbers cannot be read as float32.
var ErrDType = errors.New("dtype has no float32 values")

// ErrChanged is matched when somebody writes to a file that is being read.
var ErrChanged = errors.New("the file was changed while it was read")

// clip quotes s, shortened: names in hostile files may have megabytes.
func clip(s string) string {
	if len(s) > 200 {
		return fmt.Sprintf("%.200q... (%d bytes)", s, len(s))
	}
	return fmt.Sprintf("%q", s)
}
