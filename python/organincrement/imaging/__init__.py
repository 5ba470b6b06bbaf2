"""Safe reading, geometry, resampling, normalisation, patches, augmentation."""
