//! player
pub struct Player;
#[derive(Clone, Debug, Default)]
pub struct PlayerOptions {}
impl Player {
    pub fn start(_c: kube::Client, _o: PlayerOptions) -> Self {
        Self
    }
}
