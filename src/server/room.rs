//! How many connections a listener may have, over all workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// Room for connections, which can be made larger and smaller.
pub(super) struct Room {
    places: Arc<Semaphore>,
    most: AtomicUsize,
}

impl Room {
    pub(super) fn new(most: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(most)), most: AtomicUsize::new(most) }
    }

    /// Waits for a place.
    pub(super) async fn place(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        Arc::clone(&self.places).acquire_owned().await
    }

    /// A place, if there is one now.
    pub(super) fn try_place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// From now on there may be so many. Where there are more, no further one is let in until enough have ended; that is
    /// waited for on the caller's runtime.
    pub(super) fn allow(&self, most: usize) {
        let most = most.min(Semaphore::MAX_PERMITS);
        let before = self.most.swap(most, Ordering::Relaxed);
        self.places.add_permits(most.saturating_sub(before));
        let mut too_many = before.saturating_sub(most);
        if too_many == 0 {
            return;
        }
        let places = Arc::clone(&self.places);
        tokio::spawn(async move {
            while too_many > 0 {
                let part = u32::try_from(too_many).unwrap_or(u32::MAX);
                let Ok(taken) = Arc::clone(&places).acquire_many_owned(part).await else { return };
                taken.forget();
                too_many -= usize::try_from(part).unwrap_or(too_many);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn room_grows_at_once_and_shrinks_as_places_are_left() {
        let room = Room::new(2);
        let (first, second) = (room.place().await.unwrap(), room.place().await.unwrap());
        room.allow(3);
        let third = room.place().await.unwrap();
        room.allow(1);
        tokio::task::yield_now().await;
        for place in [first, second] {
            drop(place);
            tokio::task::yield_now().await;
            assert_eq!(room.places.available_permits(), 0);
        }
        drop(third);
        tokio::task::yield_now().await;
        assert_eq!(room.places.available_permits(), 1);
        let _fourth = room.place().await.unwrap();
    }
}
